"""examples/explore.ipynb in a kernel of Jupyter, on a small archive."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="needs the extra notebook")
pytest.importorskip("nbclient", reason="needs the extra notebook")
pytest.importorskip("ipykernel", reason="needs the extra notebook")

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "examples" / "explore.ipynb"
EXECUTE = """
import sys, nbclient, nbformat
notebook = nbformat.read(sys.argv[1], 4)
nbclient.NotebookClient(notebook, timeout=600).execute()
nbformat.write(notebook, sys.argv[2])
"""


def test_it_is_valid():
    nbformat.validate(nbformat.read(NOTEBOOK, 4))


@pytest.mark.slow
def test_it_runs_in_a_kernel_with_its_pictures_inline(tmp_path):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    kept = {name: value for name, value in os.environ.items() if name != "XMIR_NETWORKS"}
    done = subprocess.run(
        [sys.executable, "-c", EXECUTE, NOTEBOOK, "done.ipynb"],
        cwd=tmp_path, env={**kept, "COUNT": "60", "EPOCHS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    cells = json.loads((tmp_path / "done.ipynb").read_text())["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 4
    assert [output for output in outputs if output["output_type"] == "error"] == []
