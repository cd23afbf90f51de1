"""The fault table's rows of `saliency`, `causal-metric`, `sanity-check` and `montage`: records."""

import json
import math
import pickle
from pathlib import Path

import numpy as np
import pytest

CPU = ("--device", "cpu")
MAPS = ("saliency", "-", "--method", "activation", "-o", "new", *CPU)
SCORES = ("causal-metric", "-", "--curve-steps", "2", *CPU)
PAGE = ("montage", "-", "-f", "-o", "page.png")
SANITY = ("sanity-check", "-", "--method", "activation", "--seeds", "1", *CPU)
CANARY = "CANARYPHI"

LINES = {
    "text": b"CANARYPHI is no path {",
    "cut": b'{"query": "CANARYPHI',
    "array": b'["CANARYPHI"]',
    "number": b"12",
    "null": b"null",
    "nothing in it": b"{}",
    "NaN": b'{"CANARYPHI": NaN}',
    "infinite": b'{"CANARYPHI": 1e999}',
    "digits": b'{"CANARYPHI": ' + b"1" * 5000 + b"}",
    "nested": b'{"CANARYPHI": ' + b"[" * 100_000,
    "long": b'{"CANARYPHI": "' + b"x" * (2 << 20) + b'"}',
    "not UTF-8": b'{"CANARYPHI": "\xff\xfe"}',
    "byte order mark": b'\xef\xbb\xbf{"CANARYPHI": 1}',
    "half a character": b'{"query": "\\ud800CANARYPHI", "retrieved": 1}',
    "NUL": b'{"query": "CANARYPHI\\u0000", "retrieved": "\\u0000"}',
    "huge number": b'{"CANARYPHI": 1' + b"0" * 400 + b"}",
    "a key twice": b'{"CANARYPHI": 1, "query": "a", "query": "b"}',
    "huge input": b'{"query": "a", "retrieved": "b", "saliency": "c", "model": {"architecture": '
    b'"CANARYPHI", "weights": "random:0", "head": null, "weights_sha256": "", "preprocessing": '
    b'{"input_size": 99999999, "resize": 99999999, "interpolation": "bilinear", "mean": [0, 0, 0], '
    b'"std": [1, 1, 1]}}}',
    "other types": b'{"query": ["CANARYPHI"], "retrieved": {"a": 1}, "similarity": "x"}',
}


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("command", [MAPS, SCORES, PAGE, SANITY], ids=lambda each: each[0])
def test_a_malformed_line_is_skipped_by_its_number_never_by_its_text(xmir, command, line: str):
    source = "retrieval.jsonl" if command in (MAPS, SANITY) else "saliency.jsonl"
    good = Path(source).read_bytes().splitlines()[0]
    if command == MAPS and not LINES[line].startswith(b"{"):
        pytest.skip("a bare path is self-similarity, and asks for a network")
    if command == SANITY and not LINES[line].startswith(b"{"):
        pytest.skip("a bare path is self-similarity, and asks for a network")
    result = xmir(*command, stdin=b"\n".join([good, LINES[line], good, b""]))
    assert result.code == 3
    if line != "NUL" or command != PAGE:  # a page names the picture
        assert "skipped line 2: " in result.stderr
        assert CANARY not in result.stderr
    assert "1 skipped" in result.stderr.splitlines()[-1]


IDS = ["../../etc/x.png", "/etc/passwd", "..", "CON", "a/../../b.png", ".hidden", "-o", "\x1b[2Jx"]


@pytest.mark.parametrize("name", IDS)
def test_record_ids_never_become_paths_outside_the_folder(xmir, world: Path, name: str):
    """The images are links of that name: the record's paths cannot be chosen more freely."""
    record = json.loads(Path("retrieval.jsonl").read_text().splitlines()[0])
    record["meta"] = {"id": name}
    record["index"] = name
    record["method"] = name
    record["query_label"] = record["retrieved_label"] = name
    before = {path for path in world.rglob("*") if path.parent.name != "new"}
    result = xmir(*MAPS, stdin=json.dumps(record))
    assert result.code == 0
    made = result.records()[0]
    assert Path(made["saliency"]).parent == Path("new")
    scored = xmir(*SCORES, "--curves", "new", stdin=json.dumps({**made, "method": name}))
    assert scored.code == 0
    assert Path(scored.records()[0]["curves"]).parent == Path("new")
    after = {path for path in world.rglob("*") if path.parent.name != "new"}
    assert after - before == {world / "new"}


def npy(array: np.ndarray) -> bytes:
    np.save("x.npy", array, allow_pickle=True)
    return Path("x.npy").read_bytes()


def header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


FORGED = "{{'descr': '<f4', 'fortran_order': False, 'shape': {}}}"
ARRAYS = {
    "empty": lambda: b"",
    "text": lambda: b"hello",
    "pickle": lambda: pickle.dumps({"a": 1}),
    "objects": lambda: npy(np.array([{}, 1], dtype=object)),
    "cut": lambda: npy(np.zeros((32, 32), np.float32))[:-5],
    "longer": lambda: npy(np.zeros((32, 32), np.float32)) + b"x",
    "forged shape": lambda: header(FORGED.format("(99999999, 99999999)")),
    "negative shape": lambda: header(FORGED.format("(-1, 4)")),
    "code": lambda: header("__import__('os').system('touch PWNED')"),
    "NaN": lambda: npy(np.full((32, 32), math.nan, np.float32)),
    "infinite": lambda: npy(np.full((32, 32), math.inf, np.float32)),
    "complex": lambda: npy(np.zeros((32, 32), np.complex64)),
    "text array": lambda: npy(np.full((32, 32), "x")),
    "structured": lambda: npy(np.zeros((32, 32), [("a", "f4")])),
    "three axes": lambda: npy(np.zeros((1, 32, 32), np.float32)),
    "one axis": lambda: npy(np.zeros(1024, np.float32)),
    "other size": lambda: npy(np.zeros((31, 32), np.float32)),
    "zip": lambda: b"PK\x03\x04" + bytes(99),
}  # fmt: skip


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("kind", ARRAYS)
@pytest.mark.parametrize("command", [SCORES, PAGE], ids=lambda each: each[0])
def test_a_map_that_is_none_skips_its_record(xmir, command, kind: str):
    good, other = map(json.loads, Path("saliency.jsonl").read_text().splitlines())
    Path("map.npy").write_bytes(ARRAYS[kind]())
    bad = {**other, "saliency": "map.npy"}
    result = xmir(*command, stdin="\n".join(map(json.dumps, [good, bad])))
    if command == PAGE and kind == "other size":
        assert result.code == 0  # a page draws maps of any size
        return
    assert result.code == 3
    assert "map.npy" in result.stderr
    assert not Path("PWNED").exists()


JUNK = (["a", 1, 2, 3], [1], [], [None] * 4, [0] * 4,
        [1e308] * 4, [0, 0, -5, -5], [0, 0, 1e-9, 1e-9],
        [[1], 2, 3, 4], [10**400, 0, 1, 1], {"a": 1}, "x")  # fmt: skip


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("key", ["roi", "region", "match", "rank", "meta", "details", "image_size"])
def test_values_of_any_kind_in_a_record(xmir, key: str):
    good = json.loads(Path("saliency.jsonl").read_text().splitlines()[0])
    for value in JUNK:
        for command in (PAGE, SCORES, MAPS):
            line = json.dumps({**good, key: value})
            assert xmir(*command, stdin=f"{json.dumps(good)}\n{line}").code in {0, 3}


@pytest.mark.usefixtures("world")
def test_a_constant_map_is_scored_and_noted(xmir):
    record = json.loads(Path("saliency.jsonl").read_text().splitlines()[0])
    np.save("map.npy", np.ones((32, 32), np.float32))
    result = xmir(*SCORES, stdin=json.dumps({**record, "saliency": "map.npy"}))
    assert result.code == 0
    assert result.records()[0]["tied_fraction"] == 1
    assert "1 of 1 maps have ties whose order" in result.stderr


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("command", [SCORES, PAGE], ids=lambda each: each[0])
def test_a_map_that_is_not_the_one_that_was_made_is_skipped(xmir, command):
    text = Path("saliency.jsonl").read_text()
    path = Path(json.loads(text.splitlines()[0])["saliency"])
    whole, told = path.read_bytes(), path.with_suffix(".json").read_bytes()
    path.write_bytes(whole[:-4] + np.float32(1).tobytes())
    result = xmir(*command, stdin=text)
    assert result.code == 3
    assert f"changed: another map than the one that was made ({path})" in result.stderr
    path.write_bytes(whole)
    path.with_suffix(".json").write_bytes(told[:40])
    assert "damaged description of the map" in xmir(*command, stdin=text).stderr
    path.with_suffix(".json").unlink()  # a map of somebody else has none
    assert xmir(*command, stdin=text).code == 0


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("place", ["/dev/zero", "/proc/self/mem", "", "\0", "d", "https://x.y/z"])
@pytest.mark.parametrize("key", ["query", "retrieved", "saliency"])
def test_places_that_are_no_files_skip_their_record(xmir, key: str, place: str):
    good, other = map(json.loads, Path("saliency.jsonl").read_text().splitlines())
    lines = "\n".join(map(json.dumps, [good, {**other, key: place}]))
    for command in (SCORES, PAGE) if key == "saliency" else (MAPS, SCORES, PAGE):
        result = xmir(*command, stdin=lines)
        assert (result.code, command[0]) == (3, command[0])
        assert all(line.startswith("xmir: ") for line in result.stderr.splitlines())
