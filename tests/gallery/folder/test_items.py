import numpy as np
import pyarrow as pa
import pytest

from xmir_cli.errors import DataError
from xmir_cli.gallery.folder import items as module
from xmir_cli.gallery.folder.items import Items, items_writer

TABLE = pa.table({"id": [f"i{row}" for row in range(23)], "label": ["a", None] * 11 + ["b"]})


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_GROUP", 5)
    with items_writer(tmp_path / "items.parquet") as write:
        write(TABLE)
    return tmp_path / "items.parquet"


@pytest.mark.parametrize("rows", [[], [3], [22, 0, 7, 7, 6], [4, 5, 20, 19], range(23)])
def test_rows_are_those_of_the_table_in_any_order(path, rows):
    items = Items(path)
    for _ in range(4):  # row by row at first, from the whole table in the end
        assert items.take(rows).equals(TABLE.take(pa.array(list(rows), pa.int64())))


def test_columns_and_the_whole(path):
    items = Items(path)
    assert (len(items), items.column_names) == (23, ["id", "label"])
    for _ in range(2):
        assert items["label"].to_pylist() == TABLE["label"].to_pylist()
    assert items.table().equals(TABLE)
    assert items["id"].equals(TABLE["id"])


def test_only_what_is_asked_for_is_read(path, monkeypatch):
    items = Items(path)
    monkeypatch.setattr(items, "table", pytest.fail)
    items.take([1, 2])
    items.take([8, 21])
    assert items["label"].null_count == 11


def test_a_table_of_nothing_has_no_rows(tmp_path):
    with items_writer(tmp_path / "none.parquet") as write:
        write(TABLE[:0])
    assert len(Items(tmp_path / "none.parquet")) == 0


def test_damage_that_shows_only_later_is_an_error_of_the_index(path):
    items = Items(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:4] + bytes(60) + whole[64:])
    with pytest.raises(DataError, match=r"damaged index \(not to be read\)"):
        items.take(np.array([0]))


def test_a_lack_of_memory_is_not_taken_for_damage(path):
    def starve():
        raise pa.ArrowException("Failed to launch worker thread: Resource temporarily unavailable")

    with pytest.raises(MemoryError):
        Items(path)._guard(starve)


@pytest.mark.parametrize("size", [1, 4, 5, 7, 22, 23, 99])
@pytest.mark.parametrize("names", [None, ["label"], ["label", "id"]])
@pytest.mark.parametrize("held", [False, True])
def test_pieces_are_the_table_in_order(path, size, names, held):
    items = Items(path)
    if held:
        items.table()
    found = list(items.pieces(size, names))
    assert [len(piece) for piece in found[:-1]] == [size] * (len(found) - 1)
    assert pa.concat_tables(found).equals(TABLE if names is None else TABLE.select(names))


def test_pieces_and_scans_hold_nothing(path, monkeypatch):
    items = Items(path)
    monkeypatch.setattr(items, "table", pytest.fail)
    for _ in range(9):
        assert sum(map(len, items.pieces(3, ["id"]))) == 23
        starts = [start for start, _ in items.scan("id")]
        assert starts == [0, 5, 10, 15, 20]
    assert items._columns == {}


@pytest.mark.parametrize("texts", [["i5"], ["i22", "i0"], ["i17", "zz"], ["a"]])
def test_only_the_groups_that_may_hold_a_text_are_read(path, texts):
    found = [start for start, _ in Items(path).scan("id", texts)]
    groups = {start: TABLE["id"][start : start + 5].to_pylist() for start in range(0, 23, 5)}
    assert found == [
        start
        for start, names in groups.items()
        if any(min(names) <= text <= max(names) for text in texts)
    ]


def test_some_columns_of_rows_are_taken(path):
    items = Items(path)
    for rows in ([], [22, 0, 7, 7, 6]):
        assert items.take(rows, ["label"]).equals(
            TABLE.select(["label"]).take(pa.array(rows, pa.int64()))
        )
