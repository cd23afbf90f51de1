import io
import json
import os
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xmir_cli.errors import DataError, ItemError
from xmir_cli.store import jsonl
from xmir_cli.store.jsonl import LINE_LIMIT, Lines, open_lines, read_names, read_records
from xmir_cli.store.regular import open_regular


def read(text: str) -> list[tuple[int, object]]:
    return [
        (number, record.reason if isinstance(record, ItemError) else record)
        for number, record in read_records(Lines(io.StringIO(text)))
    ]


def test_objects_and_bare_paths_come_with_their_line_numbers():
    assert read('{"a": 1.5}\n\n b c.png\nlast') == [
        (1, {"a": 1.5}),
        (3, {"path": " b c.png"}),
        (4, {"path": "last"}),
    ]


@pytest.mark.parametrize(
    "line",
    [
        '{"a": NaN}',
        '{"a": -Infinity}',
        '{"a": 1e999}',
        "{",
        '{"a": ' + "[" * 100_000,
        "{}x",
        '{"a": ' + "1" * 5000 + "}",
    ],
)
def test_what_is_no_strict_json_is_refused_and_the_next_line_read(line: str):
    reason = "bad-record: not a JSON object"
    assert read(f'{line}\n{{"b": 2}}\n') == [(1, reason), (2, {"b": 2})]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"similarity": 1' + "0" * 400 + "}", "a whole number beyond 64 bits"),
        ('{"query": "a", "query": "b"}', "the key 'query' is there twice"),
        ('{"query": "\\ud800"}', "half of a character"),
    ],
)
def test_what_readers_take_differently_is_told(line: str, why: str):
    assert read(f'{line}\n{{"b": 2}}\n') == [(1, f"bad-record: {why}"), (2, {"b": 2})]


def test_the_mark_of_utf_8_at_the_start_is_passed_over(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'\xef\xbb\xbf{"a": 1}\n\xef\xbb\xbf{"a": 2}\n')
    with open_lines(str(tmp_path / "a.jsonl")) as lines:
        assert list(read_records(lines)) == [(1, {"a": 1}), (2, {"a": 2})]
    assert read("\ufeffa.png\n") == [(1, {"path": "a.png"})]


@pytest.mark.parametrize("form", ["utf-16", "utf-16-be"])
def test_utf_16_is_named(tmp_path, form: str):
    (tmp_path / "a.jsonl").write_bytes('\ufeff{"a": 1}\n'.encode(form))
    with open_lines(str(tmp_path / "a.jsonl")) as lines:
        number, error = next(read_records(lines))
    assert (number, error.reason) == (1, "bad-record: UTF-16; expected UTF-8")


def test_a_line_that_never_ends_ends_the_reading(monkeypatch):
    monkeypatch.setattr(jsonl, "_PIECES", 3)
    with pytest.raises(DataError, match="without an end"):
        read("x" * (5 * LINE_LIMIT))


@pytest.mark.parametrize("open_it", [open_lines, lambda name: open_regular(Path(name))])
def test_a_pipe_without_a_writer_and_a_device_are_refused_at_once(tmp_path, open_it):
    os.mkfifo(tmp_path / "pipe")
    for name in (str(tmp_path / "pipe"), "/dev/zero", "/dev/null"):
        with pytest.raises(DataError, match=f"^{name}: not a regular file"):
            open_it(name)


def test_a_pipe_of_the_shell_is_read():
    here, there = os.pipe()
    os.write(there, b'{"a": 1}\n')
    os.close(there)
    with open_lines(f"/dev/fd/{here}") as lines:
        assert [record for _, record in read_records(lines)] == [{"a": 1}]
    os.close(here)


def test_names_end_with_a_nul_byte(monkeypatch: pytest.MonkeyPatch):
    data = b"a\nb\0\0" + b"x" * 300 + b"\0\xff"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert list(read_names()) == ["a\nb", "x" * 300, "\udcff"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"x" * (3 * LINE_LIMIT))))
    with pytest.raises(DataError, match="a name of more than"):
        list(read_names())


def test_a_line_without_end_is_passed_over_in_pieces():
    long = "x" * (3 * LINE_LIMIT)
    reason = f"too-long: a line of more than {LINE_LIMIT} characters"
    assert read(f"{long}\nnext\n") == [(1, reason), (2, {"path": "next"})]


@given(st.text())
def test_no_text_breaks_the_reader(text: str):
    with suppress(DataError):  # what begins like a table, say "label,"
        read_all(text)


def read_all(text: str) -> None:
    for _, record in read_records(Lines(io.StringIO(text))):
        assert isinstance(record, dict | ItemError)


def test_closed_stdin_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(DataError, match=r"^standard input is closed$"):
        open_lines("-")


def test_a_stand_in_for_stdin_is_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"path": "a.png"}\n'))
    with open_lines("-") as lines:
        assert list(read_records(lines)) == [(1, {"path": "a.png"})]


def test_a_file_of_records_is_opened(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n')
    with open_lines(str(tmp_path / "a.jsonl")) as stream:
        assert [record for _, record in read_records(stream)] == [{"a": 1}]


def test_relative_paths_of_a_record_start_at_its_file(tmp_path):
    (tmp_path / "study/maps").mkdir(parents=True)
    for name in ("study/maps/a.npy", "study/q.tif", "study/both.png", "both.png", "here.png"):
        (tmp_path / name).touch()
    record = {
        "query": "q.tif#frame=2", "retrieved": "both.png", "saliency": "maps/a.npy",
        "overlay": None, "negatives": ["q.tif", "here.png"], "contrast": "gone.png",
        "index": "/elsewhere/a.xmir", "note": "q.tif",
    }  # fmt: skip
    (tmp_path / "study/r.jsonl").write_text(json.dumps(record) + "\n")
    with open_lines("study/r.jsonl") as lines:
        [(_, found)] = read_records(lines)
    assert found == {
        "query": "study/q.tif#frame=2", "retrieved": "study/both.png",
        "saliency": "study/maps/a.npy", "overlay": None,
        "negatives": ["study/q.tif", "here.png"], "contrast": "gone.png",
        "index": "/elsewhere/a.xmir", "note": "q.tif",
    }  # fmt: skip
    with open_lines(str(tmp_path / "study/r.jsonl")) as lines:
        [(_, found)] = read_records(lines)
    assert found["saliency"] == str(tmp_path / "study/maps/a.npy")


def test_relative_paths_in_the_current_folder_stay_as_they_are(tmp_path):
    (tmp_path / "q.png").touch()
    (tmp_path / "r.jsonl").write_text('{"query": "q.png"}\n')
    with open_lines("r.jsonl") as lines:
        assert [found for _, found in read_records(lines)] == [{"query": "q.png"}]


def test_a_line_may_end_as_in_windows_unless_a_file_is_called_so(tmp_path, monkeypatch):
    (tmp_path / "b.png\r").touch()
    raw = io.BytesIO(b'a.png\r\n{"path": "c.png"}\r\nb.png\r\n')
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(raw, encoding="utf-8", newline="\n"))
    with open_lines("-") as lines:
        assert [found["path"] for _, found in read_records(lines)] == ["a.png", "c.png", "b.png\r"]
