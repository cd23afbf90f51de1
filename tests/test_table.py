"""Tables on terminals of every width: no number is cut, and no line is wider than the terminal."""

import contextlib
import fcntl
import io
import os
import pty
import re
import struct
import termios
from dataclasses import replace

import pytest

from xmir_cli.printer import Printer, Shown
from xmir_cli.table import count_cells, head, lay_out, line, shorten, stack

HITS = [
    {"query": f"/data/query-{number}.png", "rank": rank, "similarity": 0.9876,
     "meta": {"id": f"a-folder-of-a-hospital/p{number}-{rank}.png"}, "gain": {"random": -0.0123}}
    for number in (1, 2) for rank in (1, 2)
]  # fmt: skip
SHOWN = Shown(["rank", "similarity", "meta.id", "gain.random", "query"], group="query")


def seen(width: int, form: str = "table", shown: Shown = SHOWN, records=HITS) -> str:
    """What a terminal so wide shows of the records."""
    terminal, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    with (
        os.fdopen(end, "w") as out,
        contextlib.redirect_stdout(out),
        Printer(form, shown) as printer,
    ):
        for record in records:
            printer.write(record)
    text = b""
    with contextlib.suppress(OSError):  # the end of what was written
        while part := os.read(terminal, 1 << 16):
            text += part
    os.close(terminal)
    return re.sub("\x1b\\[[0-9;]*m|\r", "", text.decode())


@pytest.fixture(autouse=True)
def _without_columns(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
@pytest.mark.parametrize("grows", [False, True])
def test_a_table_fits_its_terminal_and_keeps_its_numbers(width, grows):
    text = seen(width, shown=replace(SHOWN, grows=grows))
    assert max(map(count_cells, text.splitlines())) <= width
    assert text.count("0.9876") == text.count("-0.0123") == len(HITS)
    if not grows:
        assert text.count("/data/query-1.png") == text.count("/data/query-2.png") == 1


def test_hits_stand_under_their_query():
    assert [text.rstrip() for text in seen(55).splitlines()] == [
        "rank  similarity  id                        gain.random",
        "query /data/query-1.png",
        "   1      0.9876  a-folde…ospital/p1-1.png      -0.0123",
        "   2      0.9876  a-folde…ospital/p1-2.png      -0.0123",
        "query /data/query-2.png",
        "   1      0.9876  a-folde…ospital/p2-1.png      -0.0123",
        "   2      0.9876  a-folde…ospital/p2-2.png      -0.0123",
    ]


@pytest.mark.parametrize("columns", ["0", "-1", "wide", ""])
def test_a_width_that_is_none_is_that_of_the_terminal(columns, monkeypatch):
    expected = seen(60)
    monkeypatch.setenv("COLUMNS", columns)
    assert seen(60) == expected


def test_columns_of_the_environment_are_the_width(monkeypatch):
    expected = seen(60)
    monkeypatch.setenv("COLUMNS", "60")
    assert seen(200) == expected


def test_a_terminal_that_does_not_know_its_width_has_80():
    assert seen(0) == seen(80)


def test_where_a_row_does_not_fit_its_columns_are_rows():
    names, rows = ["over", "map", "recall_at_10"], [["micro", "0.1234", "1.0000"]] * 3
    assert lay_out(names, rows, 20) is None
    assert list(stack(names, rows, 30)) == [
        [
            "over           micro   micro",
            "map           0.1234  0.1234",
            "recall_at_10  1.0000  1.0000",
        ],
        ["over           micro", "map           0.1234", "recall_at_10  1.0000"],
    ]


def test_where_not_even_a_number_fits_beside_its_name_it_stands_below_it():
    text = ["a_name_with_parts", "-0.1234"], ["and", "写真写真写真写真"]
    names, row = zip(*text, strict=True)
    assert (
        list(stack(names, [row, row], 12))
        == [["a_name_with_", "parts", "  -0.1234", "and", "  写真写真写", "  真写真"]] * 2
    )


@pytest.mark.parametrize("width", [20, 40, 60])
def test_a_list_fits_its_terminal_and_cuts_middles_alone(width):
    record = {"path": "/写真/" + "x" * 200 + ".png", "label": {"写真" * 30: 8}, "sha256": "0a" * 32}
    text = seen(width, "list", records=[record]).splitlines()
    assert max(map(count_cells, text)) <= width
    kept = "".join(part.strip() for part in text)
    for part in ("/写真", "…", "x.png", "label.", "0a" * 6):
        assert part in kept


def test_names_of_a_list_are_aligned_by_cells():
    text = seen(40, "list", records=[{"写真": 1, "id": 2}]).splitlines()
    assert text[:2] == ["写真  1", "id    2"]


def test_digits_that_are_longer_than_numbers_are_a_text():
    digits = "12345678" * 8
    assert shorten(digits, 10) == "123…345678"
    assert shorten("-1234567890.1234", 10) == "-1234567890.1234"


def test_marks_take_no_cell_and_emoji_two():
    assert count_cells("e\u0301") == 1
    assert count_cells("\u0915\u0941") == 1  # a letter and its vowel in Devanagari
    assert count_cells("\u2764\ufe0f") == 2


def test_texts_are_shortened_no_further_than_they_differ():
    rows = [["a-long-beginning-1-of-a-long-end", "1"], ["a-long-beginning-2-of-a-long-end", "2"]]
    columns = lay_out(["id", "n"], rows, 30)
    assert columns is not None
    cells = {line(columns, row).split()[0] for row in rows}
    assert len(cells) == 2
    assert head(columns)[0].startswith("id")


def test_a_shortened_text_keeps_its_beginning_and_more_of_its_end():
    assert shorten("images/p0001-1.png", 10) == "ima…-1.png"
    assert shorten("写真/患者の画像.png", 11) == "写…像.png"
    assert count_cells(shorten("写真/患者の画像.png", 11)) <= 11
    assert shorten("0.123456789", 4) == "0.123456789"


@pytest.mark.parametrize("form", ["table", "list"])
def test_without_a_terminal_nothing_is_cut(form):
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    with contextlib.redirect_stdout(out), Printer(form, SHOWN) as printer:
        printer.write({**HITS[0], "query": "x" * 200})
    assert "a-folder-of-a-hospital/p1-1.png" in out.buffer.getvalue().decode()
    assert "x" * 200 in out.buffer.getvalue().decode()


def test_a_list_puts_below_its_key_what_is_too_long_for_one_line():
    text = seen(40, "list").splitlines()
    assert "  a-folder-of-a-hospital/p1-1.png" in text
    assert "meta.id" in text
