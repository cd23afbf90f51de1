import re
import runpy
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.parametrize(
    ("script", "rows", "largest"),
    [("embed", 4, 1e-5), ("dense_forward", 3, 1e-5), ("maps", 5, 2e-3)],  # maps: float16
)
def test_script_runs_and_all_contestants_agree(
    script, rows, largest, monkeypatch, capsys, tmp_path
):
    if script == "maps":
        pytest.importorskip("captum")
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.setattr(sys, "argv", [script, "--quick", "--chart", str(tmp_path / "a.png")])
    try:
        runpy.run_path(str(HERE / f"{script}.py"), run_name="__main__")
    finally:
        del sys.modules["timing"]
    differences = re.findall(r"within (\S+)$", capsys.readouterr().out, re.MULTILINE)
    assert len(differences) == rows
    assert max(map(float, differences)) < largest
    assert len(list(tmp_path.iterdir())) == 1
