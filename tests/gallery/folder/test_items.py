import numpy as np
import pyarrow as pa
import pytest

from xmir_cli.errors import DataError
from xmir_cli.gallery.folder import items as module
from xmir_cli.gallery.folder.items import Items, write_items

TABLE = pa.table({"id": [f"i{row}" for row in range(23)], "label": ["a", None] * 11 + ["b"]})


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_GROUP", 5)
    write_items(tmp_path / "items.parquet", TABLE)
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
    write_items(tmp_path / "none.parquet", TABLE[:0])
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
