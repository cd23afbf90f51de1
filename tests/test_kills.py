"""Every writing command is killed before steps of its own that change a folder, and run again.

tests/torture/kill.py does it, at every step or at random moments; here at a few steps.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TORTURE = Path(__file__).parent / "torture"
CASES = [
    "embed",
    "embed over an old file",
    "embed with feature maps",
    "embed to NumPy over old files",
    "index",
    "index over an old one",
    "saliency",
    "causal-metric",
    "montage",
    "report",
    "diff-saliency",
    "sanity-check",
]


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, object]]:
    """What became of the files of each command, counted over its kills."""
    done = subprocess.run(
        [sys.executable, TORTURE / "kill.py", "--steps", "3", *CASES],
        capture_output=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(records) == len(CASES), done.stderr.decode()
    return {record["case"]: record for record in records}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_killed_command_leaves_old_or_new_and_ends_the_same_when_run_again(found, case: str):
    counts = found[case]
    assert counts["same after running again"] == counts["kills"] > 1
    assert not [key for key in counts if key.startswith("lost")]
