import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xmir_cli.errors import DataError, SettingError
from xmir_cli.pictures.listed import cells_of
from xmir_cli.store.manifest import is_manifest, parse_names, read_table


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
        {"path": "a.png", "label": "x", "age": 7},
        {"path": "b.png", "label": None, "age": 8},
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
        (
            "path\n" + "x" * 200_000,
            "line 2: a value of more than 131072 characters: is a quote never closed?",
        ),
    ],
)
def test_text_that_is_no_table_is_named_with_its_line(tmp_path: Path, text: str, message: str):
    assert refused(written(tmp_path / "a.csv", text)) == message


def test_texts_of_all_tables_have_no_white_space_around_them(tmp_path: Path):
    columns = {"path": [" a.png", "b.png"], "patient": ["p7", " p7"], "study": ["s ", "NaN"]}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    found = read_table(tmp_path / "a.parquet")
    assert found == [
        {"path": " a.png", "patient": "p7", "study": "s"},
        {"path": "b.png", "patient": "p7", "study": None},
    ]
    text = "path,patient,study\n a.png,p7,s \nb.png, p7,NaN\n"
    assert read_table(written(tmp_path / "a.csv", text)) == found
    assert [cells_of(row) for row in found] == found
    assert cells_of({"path": " a.png", "patient": " p7", "study": "s "}) == found[0]


def test_parquet_that_is_none_is_refused(tmp_path: Path):
    assert refused(written(tmp_path / "a.parquet", "path,label")) == "not a readable Parquet file"
    pq.write_table(pa.table({"path": pa.array([None], pa.string())}), tmp_path / "b.parquet")
    assert refused(tmp_path / "b.parquet") == "row 0: path: expected a file, found nothing"
    assert refused(tmp_path / "d.parquet") == "no such file or directory"


def test_huge_text_is_refused_before_it_is_read(tmp_path: Path):
    with (tmp_path / "a.csv").open("wb") as file:
        file.truncate(300 << 20)
    assert refused(tmp_path / "a.csv") == "larger than 256 MB"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_marked_encodings_and_any_line_ends_are_read(tmp_path: Path, encoding: str, end: str):
    text = end.join(["path,label", "a.png,é", "b.png,x", ""])
    assert read_table(written(tmp_path / "a.csv", text.encode(encoding))) == [
        {"path": "a.png", "label": "é"},
        {"path": "b.png", "label": "x"},
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sep=;\npath;label\na.png;x,y\n", ""),
        ("sep=\\t\npath\tlabel\na.png\tx,y\n", ""),
        ("sep=;,,\npath;label\na.png;x,y\n", ""),  # written by a program that knows it not
        ('"sep=|"\r\npath|label\r\na.png|x,y\r\n', ""),
        ("path;label\na.png;x,y\n", "read with semicolons between the values"),
        ("path\tlabel\na.png\tx,y\n", "read with tabs between the values"),
        ("label|path\nx,y|a.png\n", "read with bars between the values"),
        ('path,label,,\n\na.png,"x,y",,\n,,,\n  \n', ""),
        (',path,label\n0,a.png,"x,y"\n', "a column without a name is left out"),
        ('path, label\na.png, "x,y"\n', ""),
        ('Path , LABEL\na.png, "x,y"\n', "the column Path is taken as path"),
        ('path,label\r\na.png,"x,y"\rb.png,\n', ""),
    ],
)
def test_tables_as_spreadsheets_write_them(tmp_path: Path, capsys, text: str, said: str):
    assert read_table(written(tmp_path / "a.csv", text))[0] == {"path": "a.png", "label": "x,y"}
    told = capsys.readouterr().err
    assert said in told
    assert bool(told) == bool(said)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('path,label\na,"b\nc,d\ne,f\n', "line 2: a quote is opened and never closed"),
        ('path,note\na,"1\n2"\nb,"c\n', "line 4: a quote is opened and never closed"),
        ('path,note\na,"1\n2","c\n', "line 3: a quote is opened and never closed"),
        (
            'path,label\na.png,"b\nc.png,"d"\n',
            (
                "line 2: text follows a closing quote: a quote is never closed, or one inside of a "
                "value is not doubled"
            ),
        ),
        (
            'path,label\na.png,b\nc.png,"say "d" now"\n',
            (
                "line 3: text follows a closing quote: a quote is never closed, or one inside of a "
                "value is not doubled"
            ),
        ),
        (
            'path,label\na.png,"b\nc.png,d"\n',
            (
                "line 2: label goes over 2 lines, one of which names another image: a quote is "
                "never closed"
            ),
        ),
        (
            'path,label\na,"' + "b,c\n" * 50_000,
            "line 2: a value of more than 131072 characters: is a quote never closed?",
        ),
        ("path,label\na,b\0c\n", "line 2: a NUL byte (UTF-16 without its mark?)"),
        ("path,label,\na,b,c\n", "line 2: expected 2 values, found 3"),
        ("sep=;\npath,label\na,b\n", "expected a column 'path', found path,label"),
        ("Path,PATH\na,b\n", "which is the column 'path': Path or PATH?"),
    ],
)
def test_a_table_that_would_swallow_rows_is_named_with_its_line(
    tmp_path: Path, text: str, message: str
):
    assert refused(written(tmp_path / "a.csv", text)) == message


def test_utf16_without_a_mark_and_cut_utf16_are_said(tmp_path: Path):
    text = "path,label\na.png,b\n".encode("utf-16-le")
    table = written(tmp_path / "a.csv", text)
    assert refused(table) == "line 1: a NUL byte (UTF-16 without its mark?)"
    assert refused(written(tmp_path / "a.csv", b"\xff\xfe" + text[:-3])) == "line 2: not UTF-16-LE"


def test_quotes_that_are_closed_are_read_whatever_they_hold(tmp_path: Path, capsys):
    text = 'path,note\na.png,"one, two\nthree ""four"""\nb.png,5" tall\n'
    assert [row["note"] for row in read_table(written(tmp_path / "a.csv", text))] == [
        'one, two\nthree "four"',
        '5" tall',
    ]
    assert capsys.readouterr().err == ""


def test_values_over_lines_that_look_like_rows_are_said(tmp_path: Path, capsys):
    read_table(written(tmp_path / "a.csv", 'path,note\na.png,"x\nas b.png"\n'))
    read_table(written(tmp_path / "b.csv", 'path,label\na.png,"x\ny"\n'))
    assert capsys.readouterr().err.splitlines() == [
        f"xmir: warning: {tmp_path}/a.csv: line 2: note: goes over 2 lines: is a quote missing?",
        f"xmir: warning: {tmp_path}/b.csv: line 2: label: goes over 2 lines: is a quote missing?",
    ]


@pytest.mark.parametrize(
    "text",
    [
        'path,note\na.png,"x\nb.png,y"\n',
        'path,label,note\na.png,l,"x\nb.png,m,y\nc.png,n,z"\n',
        'path,age,label\r\nimg/a,"5,l\r\nimg/b,6",m\r\n',  # names without an ending
        'path,note,label\nimg/a.png,"x,l\nimg/b.dcm,y",m\n',
        'note,path\n"x,a.png\ny",b.png\n',
        'note,path\n"x,here\ny",b.png\n',  # a file that is there
    ],
)
def test_rows_in_a_cell_of_any_column_are_a_quote_never_closed(tmp_path: Path, text: str):
    (tmp_path / "here").touch()
    with pytest.raises(DataError, match=r"line 2: .* names another image: a quote is never closed"):
        read_table(written(tmp_path / "a.csv", text))


def test_other_encodings_are_said_once_and_keep_their_bytes(tmp_path: Path, capsys):
    table = written(tmp_path / "a.csv", "path,label\na.png,é\nb.png,é\n".encode("latin-1"))
    assert {row["label"] for row in read_table(table)} == {"\udce9"}
    assert capsys.readouterr().err == (
        f"xmir: warning: {table}: line 2: label: not UTF-8 (Latin-1? Windows-1252?): other bytes "
        "stay as they are\n"
    )


def test_labels_lose_white_space_and_nothing_else(tmp_path: Path):
    text = "path,label,patient\na, a ,007\nb,a\u00a0,nan\nc,nan,NaT\nd,A | B,1e5\ne,1.0,\n"
    rows = read_table(written(tmp_path / "a.csv", text))
    assert [row["label"] for row in rows] == ["a", "a", None, "A | B", "1.0"]
    assert [row["patient"] for row in rows] == ["007", None, None, "1e5", None]


def test_parquet_keeps_types_and_says_what_it_leaves_out(tmp_path: Path, capsys):
    day = datetime.date(2020, 1, 2)
    table = pa.table(
        {
            "path": pa.array(["a", "b"]).dictionary_encode(),
            "id": [1, 2],
            "label": [1.0, float("nan")],
            "patient": pa.array([7.0, None]),
            "split": pa.array([True, False]),
            "tags": [["x"], []],
            "more": [{"a": 1}, None],
            "raw": [b"x", b"y"],
            "age": pa.array([60, None], pa.int16()),
            "day": [day, None],
            "code": ["007", "8"],
            "sick": [True, False],
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet") == [
        {"path": "a", "id": "1", "label": "1", "patient": "7", "split": "true", "age": 60}
        | {"day": day, "code": "007", "sick": True},
        {"path": "b", "id": "2", "label": None, "patient": None, "split": "false", "age": None}
        | {"day": None, "code": "8", "sick": False},
    ]
    assert capsys.readouterr().err == (
        f"xmir: note: {tmp_path}/a.parquet: left out tags (lists), more (structs), raw (bytes): "
        "only texts, numbers and dates are kept\n"
    )


@pytest.mark.parametrize("kind", [pa.list_(pa.string()), pa.large_list(pa.large_string())])
def test_a_list_of_labels_is_a_set_of_them(tmp_path: Path, kind: pa.DataType):
    labels = pa.array([["A", "B "], ["A"], [], None], kind)
    pq.write_table(pa.table({"path": list("abcd"), "Label": labels}), tmp_path / "a.parquet")
    rows = read_table(tmp_path / "a.parquet")
    assert [row["label"] for row in rows] == ["A|B", "A", None, None]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_columns_of_other_names_are_read_under_xmirs(tmp_path: Path, capsys, ending: str):
    columns = {"path": ["old"], "file": ["a.png"], "finding": ["x"], "Label": ["y"], "age": [7]}
    table = tmp_path / f"a.{ending}"
    if ending == "csv":
        table.write_text("path,file,finding,Label,age\nold,a.png,x,y,7\n")
    else:
        pq.write_table(pa.table(columns), table)
    names = parse_names(["path=file", "label = finding"])
    assert read_table(table, names) == [{"path": "a.png", "label": "x", "Label": "y", "age": 7}]
    assert capsys.readouterr().err == f"xmir: note: {table}: its own path is left out\n"
    with pytest.raises(SettingError, match=r"no column 'files' in .*; there are path, file, find"):
        read_table(table, {"path": "files"})


def test_a_semicolon_table_of_other_names_is_read(tmp_path: Path):
    table = written(tmp_path / "a.csv", "file;finding\na.png;x\n")
    assert read_table(table, {"path": "file", "label": "finding"}) == [
        {"path": "a.png", "label": "x"}
    ]


@pytest.mark.parametrize("given", [["path"], ["=x"], ["path="], ["path=a", "path=b"]])
def test_names_that_are_none_are_refused(given: list[str]):
    with pytest.raises(
        SettingError, match=r"columns .*: (expected NAME=COLUMN|path is said twice)"
    ):
        parse_names(given)
