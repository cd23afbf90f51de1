"""The story of a gate, in miniature: the same training passes, a worse one does not."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parent.parent
CI = ROOT / "examples" / "ci"
BASH = shutil.which("bash") or "bash"
GOOD = """# learns
--weights random:0 --head 8 --per-class 4
--preset paper --epochs 4 --learning-rate 1e-2
"""
WORSE = "--weights random:3 --head 2 --per-class 4 --epochs 1 --learning-rate 1e-7\n"


def run(warm, *arguments):
    kept = {
        "XMIR_VENV": str(warm),
        "OMP_NUM_THREADS": "1",
        "ARCH": f"{ROOT / 'tests' / 'networks' / 'tiny.py'}:network",
        "COUNT": "48",
    }
    return subprocess.run(
        [BASH, CI / "run.sh", *arguments],
        env={**os.environ, **kept},
        capture_output=True,
        text=True,
        check=False,
    )


def failures(file):
    suite = ElementTree.parse(file).getroot()[0]  # noqa: S314 # our own
    return [case.get("name") for case in suite if case.find("failure") is not None]


@pytest.mark.slow
def test_a_worse_model_does_not_pass_and_the_same_one_does(warm):
    Path("good.txt").write_text(GOOD)
    Path("worse.txt").write_text(WORSE)
    same = run(warm, "out", "good.txt", "good.txt")
    assert same.returncode == 0, same.stderr
    found = Path("out/found")
    assert failures(found / "retrieval.xml") == failures(found / "compare.xml") == []
    record = json.loads((found / "compare.jsonl").read_text())
    assert (record["rbo"], record["overlap_at_10"], record["map_difference"]) == (1, 1, 0)
    worse = run(warm, "out", "good.txt", "worse.txt")
    assert worse.returncode == 4, worse.stderr
    assert "worse than before: " in worse.stderr
    assert failures(found / "retrieval.xml") == ["baseline"]
    assert (found / "why.png").stat().st_size > 10_000
    broken = run(warm, "out", "good.txt", "nowhere.txt")
    assert broken.returncode not in {0, 4}


def test_the_workflow_runs_what_is_there():
    text = (CI / "retrieval.yml").read_text()
    for line in text.splitlines():
        for word in line.replace('"', " ").replace(":", " ").split():
            if word.startswith("examples/") and "*" not in word:
                assert (ROOT / word).exists(), word
    assert "examples/ci/run.sh" in text
    assert "examples/ci/train.txt" in text
