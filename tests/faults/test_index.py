"""The fault table's rows of `index` and `query`: tables, vectors and indexes that are damaged."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xmir_cli.store.embeddings import read_embeddings, write_embeddings


def table() -> pa.Table:
    return pq.read_table("a.parquet")


def stored(changed: pa.Table, **options: object) -> bytes:
    pq.write_table(changed, "x.parquet", **options)
    return Path("x.parquet").read_bytes()


def whole() -> bytes:
    return Path("a.parquet").read_bytes()


def flipped(place: int) -> bytes:
    data = bytearray(whole())
    data[place] ^= 0x40
    return bytes(data)


def with_column(name: str, values: pa.Array) -> bytes:
    place = table().column_names.index(name)
    return stored(table().set_column(place, name, values))


def with_metadata(metadata: dict[bytes, bytes]) -> bytes:
    return stored(table().replace_schema_metadata(metadata))


def stream() -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table().schema) as writer:
        writer.write_table(table())
    return sink.getvalue().to_pybytes()


def vectors(values: object) -> bytes:
    kind = pa.list_(pa.field("item", pa.float32(), nullable=False), 16)
    return with_column("embedding", pa.array(values, kind))


TABLES = {
    "cut": lambda: whole()[:-40],
    "half": lambda: whole()[: len(whole()) // 2],
    "start alone": lambda: b"PAR1",
    "empty": lambda: b"",
    "text": lambda: b"path,label\n1.png,a\n",
    "pickle": lambda: pickle.dumps([1]),
    "forged footer": lambda: whole()[:-8] + b"\xff\xff\xff\x7fPAR1",
    "encrypted": lambda: whole()[:-4] + b"PARE",
    "flipped bit in a page": lambda: flipped(60),
    "cut stream": lambda: stream()[:-200],
    "no metadata": lambda: stored(table().replace_schema_metadata(None)),
    "no model": lambda: with_metadata({b"xmir.schema": b"xmir.embeddings/1"}),
    "no embedding": lambda: stored(table().drop_columns(["embedding"])),
    "no id": lambda: stored(table().drop_columns(["id"])),
    "more rows": lambda: stored(pa.concat_tables([table(), table()])),
    "ragged": lambda: with_column("embedding", pa.array([[1.0], [1.0, 2.0], [], [3.0]])),
    "text vectors": lambda: with_column("embedding", pa.array(["a", "b", "c", "d"])),
    "number ids": lambda: with_column("id", pa.array([1, 2, 3, 4])),
    "null id": lambda: with_column("id", pa.array(["a", None, "c", "d"])),
    "twice the same id": lambda: with_column("id", pa.array(["a", "a", "c", "d"])),
    "all zero": lambda: vectors([[0.0] * 16] * 4),
    "rows no number": lambda: with_metadata({**table().schema.metadata, b"xmir.rows": b"9e9"}),
}  # fmt: skip


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("kind", TABLES)
def test_embeddings_that_are_none(xmir, kind: str):
    Path("bad.parquet").write_bytes(TABLES[kind]())
    result = xmir("index", "bad.parquet", "-o", "b.xmir")
    assert (result.code, result.stdout) == (5, "")
    lines = result.stderr.splitlines()
    assert len([line for line in lines if line.startswith("xmir: error: ")]) == 1
    assert all(line.startswith("xmir: ") for line in lines)
    assert not Path("b.xmir").exists()
    assert not list(Path().glob(".xmir-*"))


@pytest.mark.usefixtures("world")
def test_rows_that_are_no_vectors_are_left_out_and_counted(xmir):
    found = read_embeddings("a.parquet")
    bad = found.vectors.copy()
    bad[0], bad[1, 3], bad[2, 0] = 0, np.nan, np.inf
    write_embeddings(Path("b.parquet"), replace(found, vectors=bad))
    result = xmir("index", "b.parquet", "-o", "b.xmir")
    assert result.code == 3
    assert result.stderr.splitlines()[-1].endswith("1 indexed, 3 skipped (3 bad-vector)")
    assert xmir("query", "-i", "b.xmir", "--all", "-k", 99).records()[0]["rank"] == 1


INDEX = {
    "zero": lambda _: b"",
    "cut": lambda data: data[: len(data) // 2],
    "longer": lambda data: data + b"\0",
    "flipped bit": lambda data: data[:70] + bytes([data[70] ^ 1]) + data[71:],
    "pickle": lambda _: pickle.dumps({"a": 1}),
}  # fmt: skip


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("kind", INDEX)
@pytest.mark.parametrize("file", ["manifest.json", "vectors.npy", "items.parquet", "graph.hnsw"])
def test_an_index_that_is_damaged(xmir, file: str, kind: str, monkeypatch):
    """hnswlib, which crashes on damaged graphs, never gets to see one."""
    import hnswlib

    from xmir_cli.gallery.folder import nearest

    assert xmir("index", "a.parquet", "--kind", "hnsw", "-o", "h.xmir").code == 0
    monkeypatch.setattr(nearest, "GRAPH_FROM", 0)
    assert xmir("query", "-i", "h.xmir", "--all", "-k", 1).code == 0

    def load(*_: object, **__: object) -> None:
        raise AssertionError("the library was given a damaged graph")

    path = Path("h.xmir") / file
    path.write_bytes(INDEX[kind](path.read_bytes()))
    monkeypatch.setattr(hnswlib, "Index", load)
    result = xmir("query", "-i", "h.xmir", "--all", "-k", 1)
    assert (result.code, result.stdout) == (5, "")
    assert result.stderr.count("xmir: error: ") == 1
    assert str(Path("h.xmir").absolute()) in result.stderr


@pytest.mark.usefixtures("world")
def test_what_is_no_index(xmir):
    Path("empty.xmir").mkdir()
    for name in ("empty.xmir", "gone.xmir", "a.parquet", "d"):
        result = xmir("query", "-i", name, "--all")
        assert (result.code, result.stdout) == (5, "")
        assert "not an xmir index" in result.stderr


@pytest.mark.usefixtures("world")
def test_the_parts_of_two_indexes_do_not_mix(xmir, calls):
    embed = [each if each != "random:0" else "random:1" for each in calls["embed"].arguments]
    assert xmir(*embed, "-o", "b.parquet").code == 0
    assert xmir("index", "b.parquet", "-o", "b.xmir").code == 0
    Path("b.xmir/vectors.npy").replace("a.xmir/vectors.npy")
    result = xmir("query", "-i", "a.xmir", "--all")
    assert (result.code, result.stdout) == (5, "")
    assert "damaged index (checksum)" in result.stderr


@pytest.mark.usefixtures("world")
def test_more_hits_than_there_are_and_vectors_of_another_length(xmir):
    assert len(xmir("query", "-i", "a.xmir", "d/0.png", "-k", 99, "--device", "cpu").records()) == 4
    np.save("v.npy", np.ones(15, np.float32))
    result = xmir("query", "-i", "a.xmir", "--vector", "v.npy")
    assert (result.code, result.stdout) == (5, "")
    np.save("v.npy", np.stack([np.full(16, np.nan), np.ones(16)]).astype(np.float32))
    assert xmir("query", "-i", "a.xmir", "--vector", "v.npy").code == 5  # NaN: not an embedding


@pytest.mark.usefixtures("world")
def test_an_index_of_other_weights_is_refused(xmir, tiny_arch: str):
    manifest = Path("a.xmir/manifest.json")
    from xmir_cli.gallery.folder.manifest import read_index_manifest

    found = read_index_manifest(Path("a.xmir"))
    other = replace(found, model=replace(found.model, weights="random:1"))
    manifest.write_text(json.dumps(other.to_json()))
    result = xmir("query", "-i", "a.xmir", "d/0.png", "--device", "cpu")
    assert (result.code, result.stdout) == (6, "")
    assert "not the recorded weights" in result.stderr
    assert tiny_arch
