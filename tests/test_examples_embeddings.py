"""examples/embeddings.py on a few small pictures."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
from PIL import Image

FILE = Path(__file__).parents[1] / "examples" / "embeddings.py"


def test_it_makes_a_table_of_all_variants(tiny_arch, monkeypatch, capsys):
    rows = ["path,label,patient"]
    for number in range(24):
        pixels = np.random.default_rng(number).integers(0, 255, (6, 8, 3), dtype=np.uint8)
        pixels[:, : 4 * (number % 2)] //= 4
        Image.fromarray(pixels).resize((48, 36)).save(f"{number}.png")
        rows.append(f"{number}.png,{'xy'[number % 2]},p{number // 2 * 2 + number % 2}")
    Path("labels.csv").write_text("\n".join(rows) + "\n")
    described = importlib.util.spec_from_file_location("embeddings_example", FILE)
    module = importlib.util.module_from_spec(described)
    monkeypatch.setitem(sys.modules, "embeddings_example", module)
    described.loader.exec_module(module)
    small = {"FOLDS": 2, "SEEDS": 1, "DIMS": (3, 4000), "PER_CLASS": 4, "STEPS": 3}
    for name, value in small.items():
        monkeypatch.setattr(module, name, value)
    flags = ["--arch", tiny_arch, "--weights", "random:0"]
    monkeypatch.setattr(sys, "argv", ["embeddings.py", "out", "labels.csv", *flags])
    module.main()
    lines = capsys.readouterr().out.splitlines()
    names = [line.split(" | ")[0].removeprefix("| ") for line in lines[2:]]
    assert names == [
        "as it is",
        "GeM, p = 3",
        "`index --whiten 3`",
        "`train EMBEDDINGS`",
        "mean with the mirror image, query",
        "mean with the mirror image, both",
        "`--resize 41`, both" if "41" in lines[-1] else names[-1],
    ]
    assert Path("out/embeddings.md").read_text().splitlines() == lines
    assert all(line.count("±") == 3 for line in lines[2:])
