"""Prompts and terms are read one a line, and refused where they are none."""

from pathlib import Path

import pytest

from xmir_cli.errors import DataError
from xmir_cli.store.text_lines import read_text_lines


def test_lines_keep_their_order_and_lose_blanks_and_ends():
    Path("t.txt").write_bytes("\ufeffb\r\n\n \t\n  a b \nb\nlast".encode())
    assert read_text_lines("t.txt") == ["b", "a b", "b", "last"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no texts in it"),
        (b"\n \n", "no texts in it"),
        (b"a\n\xff\xfe\n", "line 2: expected UTF-8"),
        (b"a\n" + b"x" * 10_001, "line 2: expected at most 10000 characters"),
        (b"x" * 1_000_000, "line 1: expected at most 10000 characters"),
    ],
)
def test_file_without_texts_is_refused_with_the_line(content, reason):
    Path("t.txt").write_bytes(content)
    with pytest.raises(DataError, match=reason):
        read_text_lines("t.txt")


def test_a_folder_and_a_missing_file_are_refused():
    Path("d").mkdir()
    for name, reason in (("d", "a folder"), ("none.txt", "no such file")):
        with pytest.raises(DataError, match=reason):
            read_text_lines(name)
