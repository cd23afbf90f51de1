"""Embeddings a block at a time: the same rows whatever they lie in, as often as asked."""

import io
import itertools
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xmir_cli.errors import DataError
from xmir_cli.store.embedding_source import even_blocks, gather
from xmir_cli.store.embedding_table import RowBlock
from xmir_cli.store.embeddings import (
    Embeddings,
    open_embeddings,
    read_embeddings,
    write_embeddings,
    write_stream,
)
from xmir_cli.store.features import FeatureMaps
from xmir_cli.wire.model import ModelSpec

MODEL = ModelSpec("densenet121", "random:0", 4, weights_sha256="ab" * 32)
ROWS, SHAPE = 20, (2, 3, 3)
MAPS = np.random.default_rng(1).normal(size=(ROWS, *SHAPE)).astype("<f2")


def embeddings(features: bool = False, **columns: object) -> Embeddings:
    names = [f"i{row}" for row in range(ROWS)]
    items = {
        "id": names,
        "path": [f"/d/{name}" for name in names],
        "sha256": ["0" * 64] * ROWS,
        "width": pa.array([64] * ROWS, pa.int32()),
        "height": pa.array([48] * ROWS, pa.int32()),
        **dict.fromkeys(("label", "patient", "split"), pa.nulls(ROWS, pa.string())),
        "age": list(range(ROWS)),
        **columns,
    }
    vectors = np.random.default_rng(0).standard_normal((ROWS, 4), dtype=np.float32)
    maps = FeatureMaps(SHAPE, lambda: iter([MAPS[:7], MAPS[7:]])) if features else None
    return Embeddings(pa.table(items), vectors, MODEL, {"precision": "fp32"}, maps)


def cut(whole: Embeddings, start: int, stop: int) -> Embeddings:
    maps = whole.features
    if maps is not None:
        maps = FeatureMaps(SHAPE, lambda: iter([MAPS[start:stop]]))
    items = whole.items.slice(start, stop - start)
    return replace(whole, items=items, vectors=whole.vectors[start:stop], features=maps)


def file(whole: Embeddings, _: pytest.MonkeyPatch) -> str:
    write_embeddings(Path("a.parquet"), whole)
    return "a.parquet"


def parts(whole: Embeddings, _: pytest.MonkeyPatch) -> str:
    Path("parts").mkdir(exist_ok=True)
    for number, (start, stop) in enumerate([(0, 3), (3, 3), (3, 13), (13, ROWS)]):
        write_embeddings(Path(f"parts/part-{number:06}.parquet"), cut(whole, start, stop))
    return "parts"


def arrow(whole: Embeddings, _: pytest.MonkeyPatch) -> str:
    with Path("a.arrow").open("wb") as stream:
        write_stream(stream, whole)
    return "a.arrow"


def piped(whole: Embeddings, monkeypatch: pytest.MonkeyPatch) -> str:
    buffer = io.BytesIO()
    write_stream(buffer, whole)
    give(buffer.getvalue(), monkeypatch)
    return "-"


def give(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))


PLACES = [file, parts, arrow, piped]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("features", [False, True])
def test_every_place_gives_the_same_rows_as_often_as_asked(place, features, monkeypatch):
    whole = embeddings(features)
    if place is parts and features:
        monkeypatch.setattr("xmir_cli.store.embedding_writers.GROUP_ROWS", 5)
    name = place(whole, monkeypatch)
    if place is parts and features:
        Path("parts/part-000001.parquet").unlink()  # maps of no rows have no shape
    source = open_embeddings(name)
    assert (source.rows, source.dim, source.model) == (ROWS, 4, MODEL)
    assert dict(source.made) == {"precision": "fp32"}
    for size in (1, 6, ROWS, 100):
        blocks = list(source.blocks(size))
        assert [len(block.vectors) for block in blocks[:-1]] == [size] * (len(blocks) - 1)
        assert all(len(block.items) == len(block.vectors) for block in blocks)
        assert pa.concat_tables([block.items for block in blocks]).equals(whole.items)
        assert np.array_equal(np.concatenate([block.vectors for block in blocks]), whole.vectors)
        assert {block.vectors.dtype for block in blocks} == {np.dtype(np.float32)}
    [block] = source.blocks(ROWS, ["age", "id"])
    assert block.items.equals(whole.items.select(["age", "id"]))
    assert (source.features is not None) == features
    for _ in range(2 if features else 0):
        assert source.features.shape == SHAPE
        assert np.array_equal(np.concatenate(list(source.features.blocks())), MAPS)


@pytest.mark.parametrize("place", PLACES)
def test_a_place_without_rows_gives_a_block_without_rows(place, monkeypatch):
    nothing = cut(embeddings(), 0, 0)
    source = open_embeddings(place(nothing, monkeypatch))
    if place is not parts:
        [block] = source.blocks(5)
        assert block.items.schema.equals(nothing.items.schema)
        assert block.vectors.shape == (0, 4)
        assert gather(source).vectors.shape == (0, 4)


def test_two_readings_at_once_do_not_disturb_each_other(monkeypatch):
    for place in PLACES:
        source = open_embeddings(place(embeddings(), monkeypatch))
        one, other = source.blocks(3), source.blocks(5)
        next(one)
        found = np.concatenate([block.vectors for block in other])
        rest = np.concatenate([block.vectors for block in one])
        assert np.array_equal(found, embeddings().vectors)
        assert np.array_equal(rest, embeddings().vectors[3:])


def test_parts_with_other_columns_have_those_of_all(monkeypatch):
    parts(embeddings(), monkeypatch)
    path = Path("parts/part-000003.parquet")
    texts = cut(
        embeddings(age=[f"{row} years" for row in range(ROWS)], site=["x"] * ROWS), 13, ROWS
    )
    write_embeddings(path, texts)
    schemas = {str(block.items.schema) for block in open_embeddings("parts").blocks(4)}
    assert len(schemas) == 1
    items = gather(open_embeddings("parts")).items
    assert items["age"].to_pylist()[12:14] == ["12", "13 years"]
    assert items["site"].to_pylist()[12:14] == [None, "x"]
    assert items.equals(read_embeddings("parts").items)


def test_a_file_that_changes_between_two_readings_is_refused(monkeypatch):
    source = open_embeddings(file(embeddings(), monkeypatch))
    list(source.blocks(5))
    write_embeddings(Path("a.parquet"), cut(embeddings(), 0, 19))
    with pytest.raises(DataError, match=r"^a\.parquet: has changed while it was read$"):
        list(source.blocks(5))


def test_what_no_stream_is_is_refused_at_once_and_a_short_one_at_its_end(monkeypatch):
    class Endless(io.BytesIO):
        def read(self, count=-1):
            assert count > 0
            return b"y" * count

    monkeypatch.setattr(sys, "stdin", type("Stdin", (), {"buffer": Endless()}))
    with pytest.raises(DataError, match="standard input: damaged or cut Arrow stream"):
        open_embeddings("-")
    buffer = io.BytesIO()
    write_stream(buffer, embeddings())
    give(buffer.getvalue()[:-600], monkeypatch)
    source = open_embeddings("-")
    for _ in range(2):
        with pytest.raises(DataError, match=r"standard input: (damaged or cut|expected 20 rows)"):
            list(source.blocks(5))


def test_a_disk_too_full_for_a_stream_is_named(monkeypatch):
    class Full(io.BytesIO):
        def write(self, data):
            if self.tell():
                raise OSError(28, "No space left on device")
            return super().write(data)

    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: Full())
    name = piped(embeddings(), monkeypatch)
    with pytest.raises(DataError, match="no space left on device; a stream is kept there"):
        list(open_embeddings(name).blocks(5))


@pytest.mark.parametrize("place", [file, parts])
def test_rows_without_an_id_are_counted_in_the_whole_file(place, monkeypatch):
    names = [None if row in {4, 9, 12} else f"i{row}" for row in range(ROWS)]
    monkeypatch.setattr("xmir_cli.store.embedding_readers._BATCH", 3)
    name = place(embeddings(id=pa.array(names)), monkeypatch)
    where = "parts/part-000002.parquet" if place is parts else name
    with pytest.raises(DataError, match=rf"^{where}: column id: 3 rows have none$"):
        list(open_embeddings(name).blocks(2))


def test_damage_in_a_late_page_is_found_though_blocks_came_before(monkeypatch):
    monkeypatch.setattr("xmir_cli.store.embedding_writers.GROUP_ROWS", 5)
    file(embeddings(), monkeypatch)
    whole = bytearray(Path("a.parquet").read_bytes())
    chunk = pq.ParquetFile("a.parquet").metadata.row_group(3)
    whole[chunk.column(chunk.num_columns - 1).data_page_offset + 60] ^= 1
    Path("a.parquet").write_bytes(whole)
    with pytest.raises(DataError, match=r"^a\.parquet: damaged or not a Parquet file$"):
        list(open_embeddings("a.parquet").blocks(5))


def test_columns_that_are_left_out_are_named_once(capsys):
    write_embeddings(Path("a.parquet"), embeddings())
    table = pq.read_table("a.parquet").append_column("raw", pa.array([b"x"] * ROWS))
    pq.write_table(table, "a.parquet")
    source = open_embeddings("a.parquet")
    for _ in range(2):
        assert "raw" not in gather(source).items.column_names
    assert capsys.readouterr().err.count("left out raw (bytes)") == 1


@pytest.mark.parametrize("sizes", [[5], [1, 1, 1, 2], [0, 3, 0, 2, 0], [4, 1], [0]])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 7])
def test_even_blocks_keep_every_row(sizes, size):
    ends = np.cumsum([0, *sizes])
    rows = np.arange(ends[-1], dtype=np.float32)[:, None]
    blocks = [
        RowBlock(pa.table({"n": np.arange(a, b)}), rows[a:b]) for a, b in itertools.pairwise(ends)
    ]
    found = list(even_blocks(blocks, size))
    assert np.array_equal(np.concatenate([block.vectors for block in found]), rows)
    numbers = [number for block in found for number in block.items["n"].to_pylist()]
    assert numbers == list(range(ends[-1]))
    assert {len(block.vectors) for block in found[:-1]} <= {size}
