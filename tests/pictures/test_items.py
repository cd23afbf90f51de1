import io
import json
import os
import sys
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from xmir_cli.errors import DataError, SettingError
from xmir_cli.pictures.items import Item, list_items
from xmir_cli.store.where import parse_where


def items(*arguments: object, null: bool = False, where: list[str] | None = None) -> list[Item]:
    return list_items([str(argument) for argument in arguments], null, where)


def ids(*arguments: object, **options: object) -> list[str]:
    return [item.id for item in items(*arguments, **options)]


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch):
    def give(data: str | bytes) -> None:
        raw = io.BytesIO(data.encode() if isinstance(data, str) else data)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(raw, encoding="utf-8"))

    return give


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def test_files_keep_their_order_and_the_names_as_typed(tmp_path: Path):
    found = items("b.png", "./a.png")
    assert [item.id for item in found] == ["b.png", "./a.png"]
    assert [item.path for item in found] == [str(tmp_path / "b.png"), str(tmp_path / "a.png")]
    assert found[0].columns == {}


def test_folders_are_walked_in_name_order_and_hidden_files_left_out():
    touch("d/b.png", "d/a/z.JPG", "d/a.tif", "d/notes.txt", "d/.hidden.png", "d/.git/x.png")
    assert ids("d") == ["d/a/z.JPG", "d/a.tif", "d/b.png"]


def test_links_between_folders_are_followed_without_circling():
    touch("d/a/1.png", "e/2.png")
    Path("d/a/up").symlink_to("..")
    Path("d/other").symlink_to("../e")
    Path("d/self.png").symlink_to("self.png")
    assert ids("d") == ["d/a/1.png", "d/other/2.png", "d/self.png"]


def test_globs_are_sorted_and_a_file_of_that_very_name_comes_first():
    touch("b1.png", "b2.png", "b[12].png", "deep/x/c.png")
    assert ids("b?.png") == ["b1.png", "b2.png"]
    assert ids("b[12].png") == ["b[12].png"]
    assert ids("**/c.png") == ["deep/x/c.png"]


def test_a_missing_file_or_a_glob_without_match_stays_to_be_skipped_by_name():
    assert ids("gone.png", "gone*.png") == ["gone.png", "gone*.png"]


def test_manifest_paths_start_at_the_manifest_and_columns_ride_along(tmp_path: Path):
    touch("data/labels.csv")
    Path("data/labels.csv").write_text("id,path,label,age\nx,a/1.png,normal,7\n,/b.png,,\n")
    assert items("data/labels.csv") == [
        Item("x", str(tmp_path / "data/a/1.png"), {"label": "normal", "age": 7}),
        Item("/b.png", "/b.png", {"label": None, "age": None}),
    ]


def test_a_missing_manifest_is_an_error_at_once():
    with pytest.raises(DataError, match=r"^labels\.csv: no such file or directory$"):
        items("labels.csv")


def test_where_keeps_rows_that_have_every_value():
    Path("m.csv").write_text("path,label,split\na,x,train\nb,x,test\nc,y,test\nd,,test\n")
    assert ids("m.csv", where=["label=x", "split=test"]) == ["b"]
    assert ids("m.csv", where=["label="]) == ["d"]
    assert ids("m.csv", where=["id=c"]) == ["c"]


def test_where_names_the_columns_there_are():
    Path("m.csv").write_text("path,label\na,x\n")
    with pytest.raises(SettingError, match="no column 'split'; there are id, label"):
        items("m.csv", where=["split=test"])
    with pytest.raises(SettingError, match="expected COLUMN=VALUE, found label"):
        items("m.csv", where=["label"])
    with pytest.raises(DataError, match=r"^none of 1 images has label=z; label holds x$"):
        items("m.csv", where=["label=z"])


def test_conditions_may_hold_an_equals_sign():
    first, second = parse_where(["note=a=b", "label="])
    assert (first.column, first.operator, first.value) == ("note", "=", "a=b")
    assert (second.column, second.operator, second.value) == ("label", "=", "")
    assert parse_where(None) == []


def test_lines_on_stdin_are_paths_and_records(stdin, tmp_path: Path):
    stdin('a b.png\n\n{"path": "c.png", "label": "x", "age": 7, "sick": true, "more": [1]}\n')
    assert items("-") == [
        Item("a b.png", str(tmp_path / "a b.png"), {}),
        Item("c.png", str(tmp_path / "c.png"), {"label": "x", "age": 7, "sick": True}),
    ]


def test_names_that_are_no_utf8_survive_stdin(stdin):
    stdin(b"\xff.png\n")
    assert os.fsencode(items("-")[0].path).endswith(b"/\xff.png")


def test_null_separated_names_may_hold_newlines_and_braces(stdin):
    stdin(b"a\nb.png\0{c}.png\0")
    assert ids("-", null=True) == ["a\nb.png", "{c}.png"]


def test_a_receipt_stands_for_its_file(stdin):
    Path("m.csv").write_text("path\na\nb\n")
    stdin(json.dumps({"schema": "xmir.artifact/1", "kind": "embeddings", "path": "m.csv"}) + "\n")
    assert ids("-") == ["a", "b"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1: bad-record: not a JSON object"),
        ('{"a": 1}', "line 1: path: expected a string"),
        ('{"path": 3}', "line 1: path: expected a string"),
    ],
)
def test_bad_records_are_named_by_line(stdin, line: str, message: str):
    stdin(line + "\n")
    with pytest.raises(DataError, match=message):
        items("-")


def test_nothing_is_an_error(stdin):
    stdin("")
    with pytest.raises(DataError, match=r"^no records on standard input$"):
        items("-")
    Path("empty").mkdir()
    with pytest.raises(DataError, match=r"^empty: no images there \(\..* \.png"):
        items("empty")


def frames(name: str, count: int) -> None:
    pages = [Image.new("L", (8, 8), 9 * number) for number in range(count)]
    pages[0].save(name, save_all=True, append_images=pages[1:])


def test_a_range_of_frames_is_that_many_images():
    touch("a.tif")  # not opened
    found = items("a.tif#frame=2-4")
    assert [item.id for item in found] == [f"a.tif#frame={number}" for number in (2, 3, 4)]
    assert [item.path for item in found] == [f"{Path.cwd()}/{item.id}" for item in found]
    assert {item.file for item in found} == {f"{Path.cwd()}/a.tif"}


@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_all_frames_are_as_many_as_the_file_has(name: str):
    frames(name, 3)
    assert ids(f"{name}#frame=*") == [f"{name}#frame={number}" for number in (1, 2, 3)]


def test_frames_may_be_asked_of_globs_and_folders():
    Path("d").mkdir()
    frames("d/a.tif", 2)
    frames("d/b.tif", 1)
    everything = ["d/a.tif#frame=1", "d/a.tif#frame=2", "d/b.tif#frame=1"]
    assert ids("d/*.tif#frame=*") == ids("d#frame=*") == everything
    assert ids("d/?.tif#frame=2") == ["d/a.tif#frame=2", "d/b.tif#frame=2"]


def test_a_manifest_and_a_list_may_ask_for_frames(stdin):
    frames("a.tif", 2)
    Path("m.csv").write_text("path,id,label\na.tif#frame=*,x,sick\na.tif#frame=2,y,well\n")
    found = items("m.csv")
    assert [item.id for item in found] == ["x#frame=1", "x#frame=2", "y"]
    assert [item.columns["label"] for item in found] == ["sick", "sick", "well"]
    stdin("a.tif#frame=1-2\n")
    assert ids("-") == ["a.tif#frame=1", "a.tif#frame=2"]


def test_frames_asked_of_a_manifest_are_those_of_rows_that_name_none():
    frames("a.tif", 2)
    touch("b.tif#frame=1")  # a file of that name
    rows = ["a.tif", "a.tif#frame=2", "a.tif#frame=1-2", "b.tif#frame=1"]
    Path("m.csv").write_text("\n".join(["path", *rows]))
    first, second = "a.tif#frame=1", "a.tif#frame=2"
    assert ids("m.csv#frame=*") == [first, second, second, first, second, "b.tif#frame=1#frame=1"]


def test_two_fragments_behind_one_name_are_refused():
    touch("a.tif")
    with pytest.raises(DataError, match=r"^a.tif#frame=1#frame=2: expected one #frame=, found sev"):
        items("a.tif#frame=1#frame=2")


def test_a_file_that_cannot_be_read_is_left_to_the_reader():
    Path("a.tif").write_bytes(b"II*\0")
    assert ids("a.tif#frame=*", "gone.tif#frame=*") == ["a.tif#frame=1", "gone.tif#frame=1"]


@pytest.mark.parametrize("frames", ["4-2", "0-3", "1-999999999"])
def test_a_range_that_makes_no_sense_is_refused(frames: str):
    touch("a.tif")
    with pytest.raises(DataError, match=rf"a.tif#frame={frames}: frame: expected FIRST-LAST"):
        items(f"a.tif#frame={frames}")


@pytest.mark.parametrize("name", ["a.tif#frame=*", "a.tif#frame=1-2", "a.tif#frame=2"])
def test_a_file_that_really_has_such_a_name_is_meant(name: str):
    touch(name, "a.tif")
    assert ids(name) == [name]


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"])
def test_lists_may_have_any_line_ends_and_a_mark(monkeypatch, end: str):
    touch("a.png", "b.png")
    raw = io.BytesIO(b"\xef\xbb\xbf" + f"a.png{end}b.png{end}".encode())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(raw, encoding="utf-8", newline="\n"))
    assert ids("-") == ["a.png", "b.png"]


def test_a_name_that_really_ends_with_a_return_is_meant(monkeypatch):
    touch("a.png\r")
    raw = io.BytesIO(b"a.png\r\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(raw, encoding="utf-8", newline="\n"))
    assert ids("-") == ["a.png\r"]


def test_a_list_with_nul_bytes_names_the_flag(stdin):
    stdin(b"a.png\0b.png\0")
    with pytest.raises(DataError, match="line 1: a NUL byte") as caught:
        items("-")
    assert caught.value.hint == "Names that end with NUL bytes are read with `null`."


def test_paths_of_windows_are_found_and_said(stdin, capsys, tmp_path: Path):
    touch("img/0.png", "img/1.tif")
    Path("m.csv").write_text("path,label\nimg\\0.png,a\nimg\\1.tif#frame=2,b\nimg\\2.png,c\n")
    found = items("m.csv")
    assert [item.id for item in found] == ["img\\0.png", "img\\1.tif#frame=2", "img\\2.png"]
    assert [Path(item.path).name for item in found] == ["0.png", "1.tif#frame=2", "img\\2.png"]
    told = f"img\\0.png is the file {tmp_path}/img/0.png, and 1 more are written otherwise"
    assert told in capsys.readouterr().err
    stdin("img\\0.png\n")
    assert items("-")[0].path == f"{tmp_path}/img/0.png"


def test_a_file_whose_name_has_a_backslash_comes_first():
    touch("img\\0.png", "img/0.png")
    Path("m.csv").write_text("path\nimg\\0.png\n")
    assert Path(items("m.csv")[0].path).name == "img\\0.png"


def test_numbers_in_tables_compare_as_numbers():
    Path("m.csv").write_text("path,age,code,label\na,9,007,x\nb,60,08,y\nc,100,1,\nd,,2,z\n")
    assert ids("m.csv", where=["age>60"]) == ["c"]
    assert ids("m.csv", where=["age>=60.0", "label!=x"]) == ["b"]
    assert ids("m.csv", where=["age!=60"]) == ["a", "c"]
    assert ids("m.csv", where=["code=007"]) == ["a"]
    with pytest.raises(SettingError, match="code holds texts, such as 007"):
        items("m.csv", where=["code>1"])
    with pytest.raises(DataError, match="none of 4 images has age<9; age holds 9, 60, 100"):
        items("m.csv", where=["age<9"])


def test_columns_of_tables_and_records_may_have_other_names(stdin):
    Path("m.csv").write_text("file,finding\na,x\n")
    found = list_items(["m.csv"], False, None, ["path=file", "label=finding"])
    assert [(item.id, item.text("label")) for item in found] == [("a", "x")]
    stdin('{"file": "b", "finding": ["x", "y"]}\n')
    found = list_items(["-"], False, None, ["path=file", "label=finding"])
    assert [(item.id, item.text("label")) for item in found] == [("b", "x|y")]
    touch("c.png")
    with pytest.raises(SettingError, match="no column 'file'; there is no table"):
        list_items(["c.png"], False, None, ["path=file"])


def test_a_table_without_rows_is_said():
    Path("m.csv").write_text("path,label\n")
    with pytest.raises(DataError, match=r"^m\.csv: no rows there, only a header$"):
        items("m.csv")


def test_labels_that_look_alike_or_mean_nothing_are_said(capsys):
    labels = ["Normal", "normal ", "a", "a", "NA", "1", "1.0"]
    rows = "".join(f"{row},{label}\n" for row, label in enumerate(labels))
    Path("m.csv").write_text(f"path,label\n{rows}")
    items("m.csv")
    assert capsys.readouterr().err.splitlines() == [
        "xmir: warning: 'NA' counts as a label; where there is none, leave it empty",
        "xmir: warning: the labels '1' and '1.0' look alike, and are 2 classes",
        "xmir: warning: the labels 'Normal' and 'normal' look alike, and are 2 classes",
    ]


def test_arguments_are_found_under_another_spelling_too(tmp_path: Path, capsys):
    composed, apart = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    touch(f"{apart}/{apart}.png")
    Path(f"{apart}/m.csv").write_text("path,label\n1.png,x\n")
    assert items(f"{composed}/{composed}.png")[0].path == f"{tmp_path}/{apart}/{apart}.png"
    assert items(rf"{composed}\{apart}.png")[0].path == f"{tmp_path}/{apart}/{apart}.png"
    assert items(f"{composed}/m.csv")[0].path == f"{tmp_path}/{apart}/1.png"
    assert [item.path for item in items(composed)] == [f"{tmp_path}/{apart}/{apart}.png"]
    assert f"{composed}/{composed}.png is the file" in capsys.readouterr().err


def test_labels_in_sets_and_with_marks_that_nobody_sees_look_alike_too(capsys):
    lines = "".join(f"{number},{label}\n" for number, label in enumerate(["A|b", "a", "b\u200b"]))
    Path("m.csv").write_text(f"path,label\n{lines}", encoding="utf-8")
    items("m.csv")
    assert capsys.readouterr().err.splitlines() == [
        "xmir: warning: the labels 'A' and 'a' look alike, and are 2 classes",
        "xmir: warning: the labels 'b' and 'b\\u200b' look alike, and are 2 classes",
    ]
