"""Progress on the terminal: soon, with an end in sight, and in nobody's way."""

import io
import itertools
import os
import pty
import re
import subprocess
import sys
import threading
import time

import pytest

from xmir_cli import console, notebook, progress, steps
from xmir_cli.progress import Progress
from xmir_cli.store.ahead import Ahead

BEGIN = """
import sys, time
from xmir_cli import console, progress, steps
progress.QUIET_SECONDS = progress._PAUSE = 0.05
"""


def seen(command: str, *, stdout: int | None = None) -> tuple[str, str]:
    """What a terminal shows of a shell command, and what came to its standard output instead."""
    terminal, end = pty.openpty()
    child = subprocess.Popen(
        ["bash", "-c", command], stdin=subprocess.DEVNULL, stdout=stdout or end, stderr=end
    )
    os.close(end)
    shown, out = b"", b""
    if stdout is not None:
        out = child.communicate()[0]
    while True:
        try:
            part = os.read(terminal, 1 << 16)
        except OSError:  # all have closed it
            break
        if not part:
            break
        shown += part
    os.close(terminal)
    assert child.wait() == 0
    return shown.decode(), out.decode()


def python(script: str) -> str:
    return f"{sys.executable} - <<'END'\n{BEGIN}{script}\nEND\n"


def stage(name: str, script: str) -> str:
    """A stage of a pipe, whose script is a file."""
    with open(name, "w") as file:  # noqa: PTH123
        file.write(BEGIN + script)
    return f"{sys.executable} {name}"


def screen(shown: str) -> list[str]:
    """The lines that are left on a terminal which shows this."""
    lines = [""]
    place = 0
    for part in re.split("(\r|\n|\x1b\\[K)", shown):
        if part == "\r":
            place = 0
        elif part == "\n":
            lines.append("")
            place = 0
        elif part == "\x1b[K":
            lines[-1] = lines[-1][:place]
        else:
            lines[-1] = lines[-1][:place] + part + lines[-1][place + len(part) :]
            place += len(part)
    return lines


def test_records_printed_under_a_line_reach_the_pipe():
    script = """
with console.progress("rows", 5) as bar:
    for row in range(5):
        time.sleep(0.1)
        bar.advance()
        print(row)
"""
    shown, out = seen(python(script), stdout=subprocess.PIPE)
    assert out.split() == ["0", "1", "2", "3", "4"]
    assert re.search(r"rows  \[#+\.+\]  [1-4]/5  .*left", shown)


def test_work_of_which_nothing_is_done_yet_is_shown_all_the_same():
    shown, _ = seen(python('with console.progress("rows", 5):\n    time.sleep(0.5)'))
    assert "rows  [....................]  0/5  0:0" in shown
    assert screen(shown) == [""]


def test_a_program_that_fills_the_screen_is_left_alone():
    script = """
import termios, tty
before = termios.tcgetattr(2)
tty.setcbreak(2)  # as less and fzf do
with console.progress("rows", 5):
    time.sleep(0.4)
    print("theirs", file=sys.stderr, end="")
    with progress.line_free():
        pass
termios.tcsetattr(2, termios.TCSANOW, before)
with console.progress("later", 5):
    time.sleep(0.4)
"""
    shown, _ = seen(python(script))
    assert shown.startswith("theirs")
    assert "later  [" in shown


def test_by_default_it_is_there_within_two_seconds():
    assert progress.QUIET_SECONDS + progress._PAUSE < 2


def test_short_work_shows_nothing():
    script = 'progress.QUIET_SECONDS = 9\nwith console.progress("rows", 5):\n    time.sleep(0.2)'
    assert seen(python(script))[0] == ""


def test_steps_inside_a_unit_bring_its_end_into_sight(monkeypatch):
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    bar = Progress("explaining", 2)
    with steps.listening(bar.step):
        steps.begin(400)
        assert bar.describe().endswith("0/2  + 0/400 steps  0:00")
        now = 130.0
        steps.advance(100)
        assert bar.describe() == (
            "explaining  [##..................]  0/2  + 100/400 steps  3:30 left"
        )
        bar.advance()
    steps.advance(7)  # nobody listens
    assert bar.describe() == "explaining  [##########..........]  1/2  0:30 left"


@pytest.mark.parametrize("width", [40, 48, 60, 80])
def test_a_narrow_line_keeps_the_total_and_the_time_left(monkeypatch, width):
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    bar = Progress("explaining", 20)
    now = 130.0
    bar.advance(10)
    bar.step(900, 0)
    bar.step(None, 100)
    line = bar.describe(width)
    assert len(line) <= width
    assert re.search(r"10/20  \+ 100/900 steps  0:\d\d left$", line)
    assert ("[" in line) == (width >= 60)


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (120, "epoch 3/20  [########............]  12/31 steps  loss 0.163  45.2 images/s"),
        (80, "epoch 3/20  [####......]  12/31 steps  loss 0.163  45.2 images/s"),
        (70, "epoch 3/20  12/31 steps  loss 0.163  45.2 images/s"),
        (50, "epoch 3/20  12/31 steps  loss 0.163"),
        (40, "epoch 3/20  12/31 steps"),
        (30, "12/31 steps"),
    ],
)
def test_what_is_told_of_how_it_goes_gives_way_from_its_end(monkeypatch, width, expected):
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    bar = Progress("epoch 3/20", 31, "steps")
    now = 112.0
    bar.advance(12)
    bar.tell("loss 0.163", "45.2 images/s")
    assert bar.describe(width) == f"{expected}  0:19 left"


def test_what_an_earlier_run_did_took_none_of_the_time(monkeypatch):
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    bar = Progress("epoch 3/20", 20, "steps")
    bar.go_on(10)
    now = 105.0
    assert bar.describe(40) == "epoch 3/20  10/20 steps  0:05"
    bar.advance(5)
    assert bar.describe(40) == "epoch 3/20  15/20 steps  0:05 left"
    bar.advance(5)
    assert bar.describe(50) == "epoch 3/20  20/20 steps  2.0/s  0:00 left"


def test_notes_and_rows_leave_no_rest_of_the_line():
    script = """
from xmir_cli.printer import Printer, Shown
with console.progress("a long line of progress", 9), Printer("tsv", Shown(("a",))) as printer:
    for row in range(3):
        time.sleep(0.2)
        printer.write({"a": row})
        console.note("n")
"""
    shown, _ = seen(f"NO_COLOR=1 {python(script)}")
    assert "a long line" in shown
    note = "xmir: note: n"
    assert screen(shown) == ["a", "0", note, "1", note, "2", note, ""]


def test_of_two_stages_one_draws_at_a_time():
    first = """
with console.progress("first", 3) as bar:
    for row in range(3):
        time.sleep(0.3)
        bar.advance()
        print(row, flush=True)
"""
    second = """
time.sleep(0.2)
with console.progress("second", None) as bar:
    rows = sys.stdin.read().split()
    time.sleep(0.5)
    console.note("done")
"""
    command = f"{stage('a.py', first)} | NO_COLOR=1 {stage('b.py', second)}"
    shown, _ = seen(command)
    drawn = re.findall("first|second", shown)
    assert set(drawn) == {"first", "second"}
    assert drawn == sorted(drawn)
    assert screen(shown) == ["xmir: note: done", ""]


def test_a_stage_without_an_end_gives_way_to_one_that_has_one():
    first = 'time.sleep(0.8)\nwith console.progress("first", 3):\n    time.sleep(1)'
    second = 'with console.progress("second", None):\n    time.sleep(3)'
    shown, _ = seen(f"{stage('a.py', first)} | {stage('b.py', second)}")
    drawn = [name for name, _ in itertools.groupby(re.findall("first|second", shown))]
    assert drawn == ["second", "first", "second"]
    assert screen(shown) == [""]


def test_a_note_clears_the_line_of_another_stage():
    first = 'with console.progress("a line longer than the note", 3):\n    time.sleep(1.5)'
    second = 'time.sleep(1.0)\nconsole.note("n")'
    shown, _ = seen(f"{stage('a.py', first)} | NO_COLOR=1 {stage('b.py', second)}")
    assert "a line longer" in shown
    assert screen(shown)[0] == "xmir: note: n"


def test_a_pipe_is_read_ahead_to_know_its_end():
    read, write = os.pipe()
    with os.fdopen(write, "w") as file:
        file.write("a\nb\nc")
    with os.fdopen(read) as stream:
        ahead = Ahead(stream, 100)
        limit = time.monotonic() + 20
        while ahead.total is None and time.monotonic() < limit:
            time.sleep(0.01)
        assert ahead.total == 2  # ends of lines
        assert [ahead.readline(100) for _ in range(5)] == ["a\n", "b\n", "c", "", ""]


def test_no_more_is_read_ahead_than_is_to_be_held(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("xmir_cli.store.ahead._HELD", 10)
    asked = threading.Semaphore(0)

    class Endless:
        count = 0

        def readline(self, _: int) -> str:
            self.count += 1
            asked.release()
            return "12345\n"

    stream = Endless()
    ahead = Ahead(stream, 100)  # type: ignore[arg-type]
    for _ in range(3):
        assert asked.acquire(timeout=20)
    time.sleep(0.2)
    assert stream.count == 3
    assert ahead.readline(100) == "12345\n"
    assert asked.acquire(timeout=20)


def test_a_terminal_that_knows_no_escape_codes_gets_none():
    script = """
from xmir_cli.printer import Printer, Shown
with console.progress("rows", 3), Printer("table", Shown(("a",), grows=True)) as printer:
    for row in range(3):
        time.sleep(0.1)
        printer.write({"a": row})
        console.note("n")
        console.warning("w")
console.error("e", "h")
"""
    shown, _ = seen(f"TERM=dumb {python(script)}")
    assert "\x1b" not in shown
    assert "\r" not in shown.replace("\r\n", "\n")
    assert "xmir: warning: w" in shown
    assert "\x1b" in seen(python(script))[0]


class Cell(io.StringIO):
    """Standard error of a notebook's cell, as Jupyter has it."""


Cell.__module__ = "ipykernel.iostream"


def test_below_a_cell_of_a_notebook_a_line_is_written_anew_and_cleared(monkeypatch):
    monkeypatch.setattr(notebook, "_SECONDS", 0.02)
    monkeypatch.setattr(sys, "stderr", Cell())
    with progress.shown("embedding", 4) as bar:
        for _ in range(4):
            bar.advance()
            time.sleep(0.05)
        console.note("a word between")
        time.sleep(0.05)
    written = sys.stderr.getvalue()
    assert re.search(r"\rembedding  \[#+\.+\]  [123]/4", written)
    lines = [re.sub(r"^.*\r", "", line).rstrip() for line in written.split("\n")]
    assert lines == ["xmir: note: a word between", ""]  # nothing of it is left
    assert re.search(r"\r +\rxmir: note", written)
    assert "\033" not in written
    assert not [each for each in threading.enumerate() if each.name == "xmir-cell"]


def test_where_standard_error_is_a_file_nothing_is_drawn(monkeypatch):
    monkeypatch.setattr(notebook, "_SECONDS", 0.01)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress.shown("embedding", 4):
        time.sleep(0.05)
    assert sys.stderr.getvalue() == ""
