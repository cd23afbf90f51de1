"""What names the code that a map was made by."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import xmir_cli
from xmir_cli.explain import provenance
from xmir_cli.explain.provenance import hash_code


@pytest.fixture
def package(tmp_path):
    for folder in ("affine", "saliency/methods", "pages"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "one.py").write_text("x = 1")
    return tmp_path


@pytest.mark.parametrize(
    ("changed", "same"),
    [("affine/one.py", False), ("saliency/methods/one.py", False), ("pages/one.py", True)],
)
def test_another_state_of_what_makes_maps_has_another_name(package, changed, same):
    before = hash_code(package)
    hash_code.cache_clear()
    (package / changed).write_text("x = 2")
    assert (hash_code(package) == before) == same


def test_a_map_of_another_state_of_the_code_is_made_again(xmir, tiny_arch, package, monkeypatch):
    Image.fromarray(np.zeros((32, 32), np.uint8)).save("a.png")
    flags = ("--arch", tiny_arch, "--weights", "random:1", "--no-overlay")

    def explain():
        (record,) = xmir("saliency", *flags, stdin="a.png\n").records()
        path = Path(record["saliency"])
        return path, json.loads(path.with_suffix(".json").read_text())["made_of"]["code"]

    own = explain()
    assert own == explain()
    assert own[1] == hash_code(Path(xmir_cli.__file__).parent)
    monkeypatch.setattr(provenance, "_PACKAGE", package)
    other = explain()
    assert own[0] != other[0]
    assert own[1] != other[1]
