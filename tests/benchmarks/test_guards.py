import runpy
import sys
from pathlib import Path

HERE = Path(__file__).parent


def test_the_guards_change_no_result_and_are_measured(monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.setattr(sys, "argv", ["guards", "--quick"])
    try:
        runpy.run_path(str(HERE / "guards.py"), run_name="__main__")
    finally:
        for name in ("timing", "embed"):
            del sys.modules[name]
    said = capsys.readouterr().out
    assert "of the time more; equal" in said
    assert "all of its bytes hashed" in said
