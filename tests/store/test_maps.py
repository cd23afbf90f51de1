"""Saliency maps and what is told beside them."""

import json
from pathlib import Path

import numpy as np
import pytest

from xmir_cli.errors import DataError
from xmir_cli.store.maps import MAP_SHA256, SUM, find_sha256, hash_description


def test_a_changed_character_of_a_description_is_noticed(tmp_path: Path):
    np.save(tmp_path / "m.npy", np.zeros((2, 2), np.float32))
    told = {"details": {"region": [1, 2]}, "made_of": {"seed": 0}, MAP_SHA256: "ab"}
    text = json.dumps({**told, SUM: hash_description(told)})
    for place in range(len(text) - 1):
        changed = text[:place] + chr(ord(text[place]) ^ 1) + text[place + 1 :]
        (tmp_path / "m.json").write_text(changed)
        if f'"{SUM}"' in changed:
            with pytest.raises(DataError, match="damaged description of the map"):
                find_sha256(tmp_path / "m.npy")
    (tmp_path / "m.json").write_text(text)
    assert find_sha256(tmp_path / "m.npy") == "ab"
    (tmp_path / "m.json").write_text(json.dumps(told))  # of an earlier version
    assert find_sha256(tmp_path / "m.npy") == "ab"
