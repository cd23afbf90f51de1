"""The story of a gate, in miniature: each side is trained from its own checkout."""

import json
import os
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pyarrow.parquet
import pytest
import yaml

ROOT = Path(__file__).parent.parent
CI = ROOT / "examples" / "ci"
WORKFLOW = yaml.safe_load((CI / "retrieval.yml").read_text())
TRAIN = """
xmir train "$1" --force -o "$2" --arch examples/small_network.py:network --weights random:0 \\
    --per-class 4 --preset paper --epochs 2 --learning-rate 1e-2 "${@:3}"
"""


def git(folder, *arguments):
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def commit(folder, *added):
    git(folder, "add", *added)
    git(folder, "commit", "-q", "-m", "a change")


@pytest.fixture
def repository(tmp_path):
    """A checkout whose first commit has no gate, and whose second has one; a space in its path."""
    folder = tmp_path / "a repository"
    (folder / "examples").mkdir(parents=True)
    for name in ("pyproject.toml", "examples/environment.sh", "examples/phantoms.py"):
        shutil.copy(ROOT / name, folder / name)
    shutil.copy(ROOT / "tests" / "networks" / "tiny.py", folder / "examples" / "small_network.py")
    git(folder, "init", "-q", "-b", "main")
    commit(folder, "examples", "pyproject.toml")
    shutil.copytree(ROOT / "examples" / "ci", folder / "examples" / "ci")
    (folder / "examples" / "ci" / "train.sh").write_text(TRAIN)
    commit(folder, "examples")
    return folder


def bash(warm, folder, line):
    kept = {
        "XMIR_VENV": str(warm),
        "OMP_NUM_THREADS": "1",
        "COUNT": "48",
        "RUNNER_TEMP": str(folder.parent),
    }
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line],
        cwd=folder,
        env={**os.environ, **kept},
        capture_output=True,
        text=True,
        check=False,
    )


def run_workflow(warm, folder):
    """What the workflow runs on a merge, but for what it installs."""
    lines = [step["run"] for step in WORKFLOW["jobs"]["gate"]["steps"] if "run" in step]
    return bash(warm, folder, "\n".join(line for line in lines if "pip" not in line))


def failures(file):
    suite = ElementTree.parse(file).getroot()[0]  # noqa: S314 # our own
    return [case.get("name") for case in suite if case.find("failure") is not None]


def count_lines(file):
    return len(file.read_text().splitlines())


@pytest.mark.slow
def test_a_worse_model_does_not_pass_and_the_same_one_does(warm, repository):
    same = bash(warm, repository, 'bash examples/ci/run.sh "an out"')
    assert same.returncode == 0, same.stderr
    found = repository / "an out" / "found"
    assert failures(found / "retrieval.xml") == failures(found / "compare.xml") == []
    record = json.loads((found / "compare.jsonl").read_text())
    assert (record["rbo"], record["overlap_at_10"], record["map_difference"]) == (1, 1, 0)
    flags = "--weights random:3 --head 2 --epochs 1 --learning-rate 1e-7"
    worse = bash(warm, repository, f'bash examples/ci/run.sh "an out" . {flags}')
    assert worse.returncode == 4, worse.stderr
    assert "worse than before: " in worse.stderr
    assert failures(found / "retrieval.xml") == ["baseline"]
    assert (found / "why.png").stat().st_size > 10_000
    assert count_lines(repository / "an out" / "new-epochs.jsonl") == 1 + 1  # the receipt


@pytest.mark.slow
def test_each_side_is_trained_by_the_code_and_the_flags_of_its_own_checkout(warm, repository):
    network, train = (
        repository / "examples" / each for each in ("small_network.py", "ci/train.sh")
    )
    git(repository, "checkout", "-q", "-b", "change")
    network.write_text(network.read_text().replace("16", "12"))
    train.write_text(TRAIN.replace("--epochs 2", "--epochs 3"))
    commit(repository, "examples")
    git(repository, "checkout", "-q", "main")
    git(repository, "merge", "-q", "--no-ff", "change")
    result = run_workflow(warm, repository)
    assert result.returncode in {0, 4}, result.stderr
    out = repository / "ci-out"
    dims = [record_dim(out / "found" / f"{side}.parquet") for side in ("old", "new")]
    assert dims == [16, 12]
    assert [count_lines(out / f"{side}-epochs.jsonl") for side in ("old", "new")] == [2 + 1, 3 + 1]
    assert (out / "found" / "why.png").stat().st_size > 10_000  # of two networks of one name


def record_dim(file):
    return pyarrow.parquet.read_schema(file).field("embedding").type.list_size


@pytest.mark.slow
def test_a_base_without_a_gate_is_told_and_passes(warm, repository):
    git(repository, "checkout", "-q", "-b", "before", "main~")
    git(repository, "merge", "-q", "--no-ff", "main")
    result = run_workflow(warm, repository)
    assert result.returncode == 0, result.stderr
    told = "the base has no examples/ci/train.sh: there is no model to gate against"
    assert result.stderr.splitlines()[-1] == told
    assert count_lines(repository / "ci-out" / "new-epochs.jsonl") == 2 + 1
    assert not (repository / "ci-out" / "found").exists()


def test_a_base_that_is_nowhere_and_a_training_that_fails_are_told(warm, repository):
    for folder in ("nowhere", "examples"):
        nowhere = bash(warm, repository, f"bash examples/ci/run.sh out {folder}")
        told = f"run.sh: BASE: expected the folder of a checkout, found {folder}\n"
        assert (nowhere.returncode, nowhere.stderr) == (2, told)
    failed = bash(warm, repository, "bash examples/ci/run.sh out . --epochs 0")
    assert failed.returncode == 1
    told = f"run.sh: the new model was not trained: {repository}/examples/ci/train.sh ended with 2"
    assert failed.stderr.splitlines()[-1] == told


def test_the_lines_that_the_page_says_to_change_are_there_and_marked():
    page = (CI / "README.md").read_text()
    rows = [line.split("|")[1:3] for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) == 5
    for files, words in rows:
        scripts = [(CI / file).read_text() for file in re.findall("`([^`]+)`", files)]
        lines = ["", *"\n".join(scripts).splitlines()]
        pairs = [pair for pair in pairwise(lines) if not pair[1].startswith("#")]
        for word in re.findall("`([^`]+)`", words):
            found = [pair for pair in pairs if word.removesuffix("...").strip() in pair[1]]
            assert [pair for pair in found if "YOURS" in " ".join(pair)], word


def test_the_workflow_runs_what_is_there():
    assert set(WORKFLOW) == {"name", True, "permissions", "jobs"}  # YAML 1.1 takes `on` for true
    for pattern in WORKFLOW[True]["pull_request"]["paths"]:
        assert list(ROOT.glob(pattern)), pattern
    steps = WORKFLOW["jobs"]["gate"]["steps"]
    assert all(len({"uses", "run"} & step.keys()) == 1 for step in steps)
    scripts = [
        word for step in steps for word in step.get("run", "").split() if word.endswith(".sh")
    ]
    assert scripts == ["examples/ci/run.sh"]
    assert (ROOT / scripts[0]).exists()
