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


def seen(width: int, form: str = "table", shown: Shown = SHOWN) -> str:
    """What a terminal so wide shows of the hits."""
    terminal, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    with (
        os.fdopen(end, "w") as out,
        contextlib.redirect_stdout(out),
        Printer(form, shown) as printer,
    ):
        for record in HITS:
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
    assert [text.rstrip() for text in seen(50).splitlines()] == [
        "rank  similarity  id                        random",
        "query /data/query-1.png",
        "   1      0.9876  a-folde…spital/p1-1.png  -0.0123",
        "   2      0.9876  a-folde…spital/p1-2.png  -0.0123",
        "query /data/query-2.png",
        "   1      0.9876  a-folde…spital/p2-1.png  -0.0123",
        "   2      0.9876  a-folde…spital/p2-2.png  -0.0123",
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


def test_without_a_terminal_nothing_is_cut():
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    with contextlib.redirect_stdout(out), Printer("table", SHOWN) as printer:
        printer.write(HITS[0])
    assert "a-folder-of-a-hospital/p1-1.png" in out.buffer.getvalue().decode()


def test_a_list_puts_below_its_key_what_is_too_long_for_one_line():
    text = seen(40, "list").splitlines()
    assert "  a-folder-of-a-hospital/p1-1.png" in text
    assert "meta.id" in text
