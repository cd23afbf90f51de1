import hashlib
import json
import os
from dataclasses import asdict

import pytest

from xmir_cli.errors import DataError
from xmir_cli.gallery.folder.manifest import (
    GraphSettings,
    Manifest,
    describe,
    read_index_manifest,
    verify,
)
from xmir_cli.wire.model import ModelSpec

MANIFEST = Manifest(
    kind="hnsw",
    rows=3,
    dim=2,
    model=ModelSpec("tiny", "random:0", weights_sha256="ab" * 32),
    files={"vectors.npy": (4, "cd" * 32)},
    settings=GraphSettings(m=8),
    recall_at_10=0.5,
)


def _write(folder, data):
    (folder / "manifest.json").write_text(data if isinstance(data, str) else json.dumps(data))


def test_a_manifest_reads_back_as_it_was(tmp_path):
    _write(tmp_path, MANIFEST.to_json())
    assert read_index_manifest(tmp_path) == MANIFEST


def test_a_folder_without_one_is_not_an_index(tmp_path):
    with pytest.raises(DataError, match="not an xmir index"):
        read_index_manifest(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="not an xmir index"):
        read_index_manifest(tmp_path / "file")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        "{}",
        "[" * 100_000,
        '{"schema": "xmir.index/1", "rows": NaN, "checksum": ""}',
        '{"checksum": NaN}',
    ],
)
def test_anything_else_of_that_name_is_refused(tmp_path, text):
    _write(tmp_path, text)
    with pytest.raises(DataError, match=r"manifest\.json"):
        read_index_manifest(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        *({"rows": rows} for rows in (0, -1, 2**31, 3.0, True, "3", None)),
        *({"dim": dim} for dim in (0, -2, 2**40, 2.5)),
        *({"kind": kind} for kind in ("graph", None, 1, [])),
        *({"files": {name: {"bytes": 1, "sha256": ""}}} for name in ("../x", "/etc/passwd", "a")),
        *({"files": {"graph.hnsw": each}} for each in ({"bytes": -1, "sha256": ""}, [], {}, None)),
        *({"settings": {**asdict(GraphSettings()), "ef": ef}} for ef in (0, -5, 2**40, "64", 1.5)),
        *({"settings": {**asdict(GraphSettings()), "m": m}} for m in (0, 1, 513, None)),
        *({"settings": each} for each in ({"m": 16}, [1], "x")),
        *({"recall_at_10": each} for each in (-0.1, 2, "1", [])),
        *({"model": each} for each in (None, {}, [])),
    ],
    ids=str,
)
def test_values_outside_their_ranges_are_refused_whatever_the_checksum(tmp_path, change):
    data = {**MANIFEST.to_json(), **change}
    del data["checksum"]
    data["checksum"] = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
    _write(tmp_path, data)
    with pytest.raises(DataError, match=r"manifest\.json: (not the manifest|model)"):
        read_index_manifest(tmp_path)


@pytest.mark.parametrize("flip", [0x01, 0x81])
def test_any_changed_byte_is_found(tmp_path, flip):
    whole = json.dumps(MANIFEST.to_json()).encode()
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= flip
        (tmp_path / "manifest.json").write_bytes(changed)
        try:
            found = read_index_manifest(tmp_path)
        except DataError:
            continue
        assert found == MANIFEST  # white space between the values


def test_a_manifest_that_is_a_pipe_or_endless_is_refused_at_once(tmp_path):
    (tmp_path / "a").mkdir()
    os.mkfifo(tmp_path / "a" / "manifest.json")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "manifest.json").symlink_to("/dev/zero")
    for folder in "ab":
        with pytest.raises(DataError, match=r"manifest\.json: not a regular file"):
            read_index_manifest(tmp_path / folder)
    (tmp_path / "c").mkdir()
    with (tmp_path / "c" / "manifest.json").open("wb") as file:
        file.truncate(10 << 30)
    with pytest.raises(DataError, match=r"manifest\.json: larger than 64 MB"):
        read_index_manifest(tmp_path / "c")


def test_a_changed_file_is_named(tmp_path):
    (tmp_path / "a").write_bytes(b"1234")
    whole = Manifest("exact", 1, 1, MANIFEST.model, {"a": describe(tmp_path / "a")}, None, None)
    assert verify(tmp_path, "a", whole) == tmp_path / "a"
    (tmp_path / "a").write_bytes(b"1235")
    with pytest.raises(DataError, match=r"a: damaged index \(checksum\)"):
        verify(tmp_path, "a", whole)
    (tmp_path / "a").unlink()
    with pytest.raises(DataError, match=r"a: damaged index \(missing\)"):
        verify(tmp_path, "a", whole)
