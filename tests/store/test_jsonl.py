import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xmir_cli.errors import DataError, ItemError, UsageError
from xmir_cli.store.jsonl import LINE_LIMIT, open_lines, read_records


def read(text: str) -> list[tuple[int, object]]:
    return [
        (number, record.reason if isinstance(record, ItemError) else record)
        for number, record in read_records(io.StringIO(text))
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
    for _, record in read_records(io.StringIO(text)):
        assert isinstance(record, dict | ItemError)


def test_a_terminal_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal())
    with pytest.raises(UsageError, match=r"^saliency waits for records on standard input"):
        open_lines("-", "saliency")


def test_closed_stdin_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(DataError, match=r"^standard input is closed$"):
        open_lines("-", "saliency")


def test_a_file_of_records_is_opened(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n')
    with open_lines(str(tmp_path / "a.jsonl"), "saliency") as stream:
        assert [record for _, record in read_records(stream)] == [{"a": 1}]
