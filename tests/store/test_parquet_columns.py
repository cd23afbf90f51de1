from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xmir_cli.store import parquet_columns as module
from xmir_cli.store.parquet_columns import column_values

IDS = [f"{row:04}" for row in range(500)]


@pytest.fixture
def table():
    columns = {
        "pair": pa.array([{"a": "z", "b": "z"}] * 500),  # two columns of the file
        "id": IDS,
        "label": pa.array([None, "", "b", "a", "é"] * 100, pa.string()),
        "age": list(range(500)),
        "kind": pa.array(["x", "y"] * 250).dictionary_encode(),
    }
    pq.write_table(pa.table(columns), "t.parquet", row_group_size=50)
    return Path("t.parquet")


@pytest.mark.parametrize(
    ("column", "start", "expected"),
    [
        ("id", "012", [f"012{digit}" for digit in range(10)]),
        ("id", "0499", ["0499"]),
        ("id", "9", []),
        ("label", "", ["a", "b", "é"]),
        ("label", "é", ["é"]),
        ("age", "49", ["49", *(f"49{digit}" for digit in range(10))]),
        ("kind", "", ["x", "y"]),
        ("none", "", []),
    ],
)
def test_the_values_that_begin_so_are_there_once(table, column, start, expected):
    assert column_values(table, column, start, 200) == expected


def test_no_more_is_read_than_is_wanted(table, monkeypatch):
    read, inner = [], pq.ParquetFile.read_row_group

    def watch(self, group, columns):
        read.append(group)
        return inner(self, group, columns)

    monkeypatch.setattr(module.pq.ParquetFile, "read_row_group", watch)
    assert len(column_values(table, "id", "", 60)) == 60
    assert read == [0, 1]
    read.clear()
    flat = pa.table({"id": IDS, "label": ["x"] * 500})
    pq.write_table(flat, table, row_group_size=50)
    assert column_values(table, "id", "0333", 200) == ["0333"]
    assert read == [6]
