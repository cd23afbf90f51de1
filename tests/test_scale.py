"""The stories of examples/scale: every route gives the rows, hits and metrics of one process.

On phantoms everywhere; on real X-rays, too, where they lie beside the project. Slurm is a program
that runs the tasks of an array one after the other. A server and Ray are there only in the
environments of their extras.
"""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.servers import servers

ROOT = Path(__file__).parent.parent
SCALE = ROOT / "examples" / "scale"
XRAYS = ROOT.parent / "shared" / "data" / "covid-cxr" / "labels.csv"
SBATCH = r"""#!/usr/bin/env bash
tasks= submitted=$(mktemp)
while [ "${1#-}" != "$1" ]; do
    case $1 in
    --array=0-*) tasks=$(seq 0 "${1#--array=0-}") ;;
    --array=*) tasks=$(echo "${1#--array=}" | tr , ' ') ;;
    esac
    shift
done
cp "$1" "$submitted" # Slurm runs a copy
shift
export SLURM_JOB_ID=17
if [ -n "$tasks" ]; then
    export SLURM_ARRAY_TASK_COUNT=$(echo $tasks | wc -w) SLURM_ARRAY_TASK_STEP=1
    export SLURM_ARRAY_TASK_MIN=${tasks%%[!0-9]*}
    for task in $tasks; do SLURM_ARRAY_TASK_ID=$task bash "$submitted" "$@" >&2 || exit; done
else
    bash "$submitted" "$@" >&2
fi
rm "$submitted"
echo "$SLURM_JOB_ID"
"""
ROUTES = ["parallel", "slurm", "torchrun"]

Route = Callable[..., Path]


@pytest.fixture(scope="module", params=["phantoms", "X-rays"])
def table(request, tmp_path_factory) -> Path:
    if request.param == "X-rays":
        if not XRAYS.exists():
            pytest.skip(f"no {XRAYS}")
        return XRAYS
    folder = tmp_path_factory.mktemp("with spaces") / "phantoms"
    words = ["--count", "60", "--size", "48"]
    subprocess.run([sys.executable, ROOT / "examples" / "phantoms.py", folder, *words], check=True)
    return folder / "labels.csv"


@pytest.fixture(scope="module")
def go(table, warm, tiny_arch, tmp_path_factory) -> Route:
    """Run a script in a folder of its own, which it gives."""
    folder = tmp_path_factory.mktemp("routes")
    (folder / "bin").mkdir()
    (folder / "bin" / "sbatch").write_text(SBATCH)
    (folder / "bin" / "sbatch").chmod(0o755)

    def run(
        script: str,
        *more: str,
        out: str = "",
        images: Path = table,
        code: int = 0,
        **variables: str,
    ) -> Path:
        place = folder / (out or script)
        environment = {
            **os.environ,
            "XMIR_VENV": str(warm),
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "ARCH": tiny_arch,
            "WEIGHTS": "random:0",
            "DEVICE": "cpu",
            "PROCESSES": "3",
            **variables,
        }
        done = subprocess.run(
            ["bash", SCALE / f"{script}.sh", images, place, *more],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        assert "installing" not in done.stderr
        place.with_suffix(".log").write_text(done.stderr)
        return place

    return run


@pytest.fixture(scope="module")
def one(go) -> Path:
    return go("one")


def compare(*folders: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, SCALE / "same.py", *folders]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def assert_same(one: Path, other: Path) -> None:
    found = compare(one, other)
    assert found.stdout.splitlines()[1:] == [f"{other.name}: the same"], found.stdout
    assert found.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("route", ROUTES)
def test_every_route_gives_the_records_of_one_process(go, one, route):
    other = go(route)
    assert [part.name for part in sorted((other / "embeddings").iterdir())] == [
        f"part-{number:06}.parquet" for number in (1, 2, 3)
    ]
    assert_same(one, other)


@pytest.mark.slow
def test_what_is_said_of_the_commands_gives_the_same_when_it_is_copied(one, warm, table, tiny_arch):
    files = [one / name for name in ("retrieval.jsonl", "metric.jsonl")]
    before = [file.read_bytes() for file in files]
    said = one.with_suffix(".log").read_text().splitlines()
    commands = [line.removeprefix("$ ") for line in said if line.startswith("$ ")]
    assert len(commands) == 4
    words = shlex.split(commands[0])
    assert Path(words[2]).samefile(table)
    assert [*words[:2], *words[3:5]] == ["xmir", "embed", "--arch", tiny_arch]
    for file, command in zip(files, commands[2:], strict=True):
        file.unlink()
        environment = {**os.environ, "PATH": f"{warm / 'bin'}:{os.environ['PATH']}"}
        subprocess.run(["bash", "-c", command], env=environment, check=True)
    assert [file.read_bytes() for file in files] == before


@pytest.mark.slow
@pytest.mark.parametrize("table", ["phantoms"], indirect=True)
@pytest.mark.parametrize("route", ROUTES)
def test_images_that_are_left_out_fail_no_route_and_parts_of_another_job_do(go, table, route):
    lines = table.read_text().splitlines()
    few = table.with_name("few.csv")
    few.write_text("\n".join(lines[:13]) + "\n" + lines[13].replace(".png", "-lost.png") + "\n")
    how = {"out": f"few-{route}", "images": few}
    out = go(route, **how)
    assert "Traceback" not in out.with_suffix(".log").read_text()
    made = (out / "metric.jsonl").read_bytes()
    (out / "metric.jsonl").unlink()
    go(route, **how, code={"parallel": 123}.get(route, 1), WEIGHTS="random:1")
    assert "is of another model" in out.with_suffix(".log").read_text()
    assert not (out / "metric.jsonl").exists()
    go(route, **how)
    assert (out / "metric.jsonl").read_bytes() == made


def submit(script: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script in an interactive job; `calls` in the folder is what it submits."""
    (folder / "sbatch").write_text(f'#!/bin/sh\necho "$@" >> {folder}/calls; echo 7\n')
    (folder / "sbatch").chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "SLURM_JOB_ID": "5"}
    command = ["bash", script, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_script_of_slurm_submits_from_an_interactive_job(tmp_path):
    done = submit(SCALE / "slurm.sh", tmp_path, "table.csv", "out")
    assert (done.returncode, done.stdout, done.stderr) == (0, "7\n", "")
    first, second = (tmp_path / "calls").read_text().splitlines()
    assert "--array=0-1" in first
    assert "--dependency=afterok:7" in second


def test_the_script_of_slurm_says_that_it_submits_itself(tmp_path):
    copy = shutil.copy(SCALE / "slurm.sh", tmp_path / "job")  # as sbatch makes one
    done = submit(Path(copy), tmp_path, "table.csv", "out")
    assert done.returncode == 2
    assert done.stderr.endswith("TABLE OUT, without sbatch: it submits itself\n")
    assert not (tmp_path / "calls").exists()


@pytest.mark.parametrize(("script", "missing"), [("server", "URL"), ("shard", "I/N")])
def test_a_word_that_is_missing_is_told_before_anything_is_embedded(
    warm, tmp_path, script, missing
):
    done = subprocess.run(
        ["bash", SCALE / f"{script}.sh", "table.csv", tmp_path / "out"],
        env={**os.environ, "XMIR_VENV": str(warm)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (2, f"usage: {script}.sh TABLE OUT {missing}\n")


@pytest.mark.slow
def test_a_task_of_the_array_that_is_submitted_again_alone_does_its_own_shard(go, one):
    other = go("slurm", out="again")
    (other / "embeddings" / "part-000002.parquet").unlink()
    assert go("slurm", out="again", TASKS="1") == other
    assert len(list((other / "embeddings").iterdir())) == 3
    assert_same(one, other)


PARALLEL = r"""#!/usr/bin/env bash
while [ "${1#-}" != "$1" ]; do
    case $1 in
    --sshlogin) login=$2; shift ;;
    --workdir) cd "$2"; shift ;;
    --jobs | --halt) shift ;;
    esac
    shift
done
[ "$login" = a.host,b.host ] || exit 9
while read -r line; do env -i PATH=/usr/bin:/bin "$@" "$line" < /dev/null || exit; done
"""


@pytest.mark.slow
@pytest.mark.parametrize("table", ["phantoms"], indirect=True)
def test_other_machines_are_told_the_knobs(go, one, tmp_path, monkeypatch):
    program = tmp_path / "parallel"  # as GNU parallel by ssh: nothing of the environment goes along
    program.write_text(PARALLEL)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert_same(one, go("parallel", out="hosts", LOGINS="a.host,b.host"))


@pytest.mark.slow
@pytest.mark.parametrize("server", [each for each in servers() if each.name != "memory"])
def test_a_server_gives_the_records_of_one_process(go, one, server):
    other = go("server", server.place(one.parent.name), out=server.name)
    assert_same(one, other)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra ray")
def test_ray_gives_the_records_of_one_process(go, one):
    assert_same(one, go("ray", RAY_ADDRESS="local"))  # no cluster that happens to be here


@pytest.mark.slow
def test_a_difference_is_told(one, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(one, other)
    assert compare(one, other).returncode == 0
    records = (other / "retrieval.jsonl").read_text().replace('"rank": 2', '"rank": 3')
    (other / "retrieval.jsonl").write_text(records)
    found = compare(one, other)
    assert found.stdout.splitlines()[1] == "other: other retrieval.jsonl"
    assert found.returncode == 1


@pytest.mark.parametrize("script", sorted(SCALE.glob("*.sh")), ids=lambda path: path.name)
def test_every_script_of_the_folder_is_explained(script):
    assert script.name in (SCALE / "README.md").read_text()
    if script.name != "job.sh":
        usage = subprocess.run(["bash", script], capture_output=True, text=True, check=False)
        assert usage.returncode == 2
