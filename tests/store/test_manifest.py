from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xmir_cli.errors import DataError
from xmir_cli.store.manifest import is_manifest, read_table


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refused(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_table(path)
    return str(caught.value).removeprefix(f"{path}: ")


def test_tables_are_known_by_their_extension():
    assert [is_manifest(name) for name in ("a.csv", "b.TSV", "c.parquet", "d.png", "csv")] == [
        True,
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(("name", "separator"), [("a.csv", ","), ("a.tsv", "\t")])
def test_text_tables_give_text_and_none_for_empty(tmp_path: Path, name: str, separator: str):
    text = "path,label,age\na.png,covid-19,\n\nb.png,,007\n".replace(",", separator)
    assert read_table(written(tmp_path / name, text)) == [
        {"path": "a.png", "label": "covid-19", "age": None},
        {"path": "b.png", "label": None, "age": "007"},
    ]


def test_quotes_newlines_and_marks_of_other_programs_are_understood(tmp_path: Path):
    data = b'\xef\xbb\xbfpath,note\r\n"a,b.png","two\nlines"\r\n\xff.png,x\r\n'
    rows = read_table(written(tmp_path / "a.csv", data))
    assert rows == [
        {"path": "a,b.png", "note": "two\nlines"},
        {"path": "\udcff.png", "note": "x"},
    ]


def test_parquet_gives_the_same_rows_and_leaves_computed_columns_out(tmp_path: Path):
    table = pa.table(
        {
            "path": ["a.png", "b.png"],
            "label": ["x", None],
            "age": [7, 8],
            "width": [1, 2],
            "embedding": pa.array([[1.0], [2.0]], pa.list_(pa.float32(), 1)),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet") == [
        {"path": "a.png", "label": "x", "age": "7"},
        {"path": "b.png", "label": None, "age": "8"},
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a column 'path', found nothing"),
        ("file,label\na,b\n", "expected a column 'path', found file, label"),
        ("path,a,a\n", "two columns are named 'a'"),
        ("path,label\na.png\n", "line 2: expected 2 values, found 1"),
        ("path,label\na.png,b\nc.png,d,e\n", "line 3: expected 2 values, found 3"),
        ("path,label\n,b\n", "line 2: path: expected a file, found nothing"),
        ("path\n" + "x" * 200_000, "not a table (field larger than field limit (131072))"),
    ],
)
def test_text_that_is_no_table_is_named_with_its_line(tmp_path: Path, text: str, message: str):
    assert refused(written(tmp_path / "a.csv", text)) == message


def test_parquet_that_is_none_is_refused(tmp_path: Path):
    assert refused(written(tmp_path / "a.parquet", "path,label")) == "not a readable Parquet file"
    pq.write_table(pa.table({"path": pa.array([None], pa.string())}), tmp_path / "b.parquet")
    assert refused(tmp_path / "b.parquet") == "path: expected a file, found nothing"
    pq.write_table(pa.table({"path": ["a"], "tags": [["x"]]}), tmp_path / "c.parquet")
    assert refused(tmp_path / "c.parquet").startswith("column tags: list<")
    assert refused(tmp_path / "d.parquet") == "no such file or directory"


def test_huge_text_is_refused_before_it_is_read(tmp_path: Path):
    with (tmp_path / "a.csv").open("wb") as file:
        file.truncate(300 << 20)
    assert refused(tmp_path / "a.csv") == "larger than 256 MB"
