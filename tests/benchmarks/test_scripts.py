import re
import runpy
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
OFF, FOUND = r"(?:within|off by) (\S+)", r"([0-9.]+) % of the ids"
SCRIPTS = [  # name, the peers that it needs, what it tells of its results, how often, and bounds
    ("occlusion", ["captum", "smqtk_descriptors", "xaitk_saliency"], OFF, 9, (0, 1e-4)),
    ("causal", ["quantus"], OFF, 3, (0, 1e-5)),
    ("search", ["faiss"], FOUND, 6, (100, 100)),
    ("scale", ["faiss"], FOUND, 4, (100, 100)),
    ("large", ["faiss"], OFF, 1, (0, 1e-6)),
    ("training", ["pytorch_metric_learning"], OFF, 6, (0, 1e-6)),
    ("embed", [], OFF, 4, (0, 1e-5)),
    ("dense_forward", [], OFF, 3, (0, 1e-5)),
    ("maps", ["captum"], OFF, 5, (0, 2e-3)),  # float16
    ("startup", [], r"\d s \((\d\.\d+) to", 14, (0, 60)),
]


@pytest.mark.parametrize(
    ("script", "peers", "pattern", "rows", "bounds"), SCRIPTS, ids=[each[0] for each in SCRIPTS]
)
def test_script_runs_and_all_contestants_agree(
    script, peers, pattern, rows, bounds, monkeypatch, capsys, tmp_path
):
    for peer in peers:
        pytest.importorskip(peer)
    for name in ("XDG_CACHE_HOME", "XMIR_NETWORKS", "OMP_WAIT_POLICY"):
        monkeypatch.setenv(name, str(tmp_path))  # so that what a script sets is undone
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.setattr(sys, "argv", [script, "--quick", "--chart", str(tmp_path / "a.png")])
    try:
        runpy.run_path(str(HERE / f"{script}.py"), run_name="__main__")
    finally:
        del sys.modules["timing"]
    told = [float(number) for number in re.findall(pattern, capsys.readouterr().out)]
    assert len(told) == rows
    assert bounds[0] <= min(told) <= max(told) <= bounds[1]
    assert list(tmp_path.glob("*.png"))
