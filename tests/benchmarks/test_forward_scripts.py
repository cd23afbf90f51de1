import re
import runpy
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.parametrize(("script", "rows"), [("embed", 3), ("dense_forward", 3)])
def test_script_runs_and_all_contestants_agree(script, rows, monkeypatch, capsys, tmp_path):
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.setattr(sys, "argv", [script, "--quick", "--chart", str(tmp_path / "a.png")])
    try:
        runpy.run_path(str(HERE / f"{script}.py"), run_name="__main__")
    finally:
        del sys.modules["timing"]
    differences = re.findall(r"within (\S+)$", capsys.readouterr().out, re.MULTILINE)
    assert len(differences) == rows
    assert max(map(float, differences)) < 1e-5
    assert len(list(tmp_path.iterdir())) == 1
