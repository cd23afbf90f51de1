import io
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xmir_cli.errors import DataError, ItemError
from xmir_cli.store.jsonl import LINE_LIMIT, Lines, open_lines, read_records


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


def test_a_line_without_end_is_passed_over_in_pieces():
    long = "x" * (3 * LINE_LIMIT)
    reason = f"too-long: a line of more than {LINE_LIMIT} characters"
    assert read(f"{long}\nnext\n") == [(1, reason), (2, {"path": "next"})]


@given(st.text())
def test_no_text_breaks_the_reader(text: str):
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
