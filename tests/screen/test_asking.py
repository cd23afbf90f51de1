"""What a terminal answers, and that nobody's keys are taken and nothing waits for ever."""

import os
import pty
import re
import select
import subprocess
import sys
import termios
import textwrap
from pathlib import Path

import pytest

from tests.screen import fakes
from xmir_cli.screen.asking import Answers, read_answers

SIZE = os.terminal_size((80, 24))
ASK = """
import os, sys, time
from xmir_cli.screen.pictures import Screen
began = time.monotonic()
screen = Screen()
screen.way
print(f"<{screen.way}> {screen.cell} {time.monotonic() - began:.1f}s", flush=True)
"""


def asked(answers, code=ASK, **more):
    terminal = fakes.Terminal([sys.executable, "-c", code], answers, **more)
    return terminal, terminal.leave()


def told(terminal):
    found = re.search(rb"<(.*)> \((.*)\) (.*)s", terminal.seen)
    assert found, terminal.seen
    return found[1].decode(), tuple(map(float, found[2].split(b", "))), float(found[3])


@pytest.mark.parametrize(
    ("answers", "way", "cell"),
    [
        (fakes.KITTY, "kitty", (10, 20)),
        (fakes.ITERM2, "iterm2", (10, 20)),
        (fakes.XTERM, "sixel", (10, 20)),
        ({**fakes.XTERM, "cell": b"\x1b[6;17;8t"}, "sixel", (8, 17)),
        ({**fakes.XTERM, "cell": b"", "area": b"\x1b[4;408;640t"}, "sixel", (8, 17)),
        ({**fakes.XTERM, "cell": b"\x1b[6;0;0t", "area": b""}, "sixel", (10, 20)),
        ({"kitty": b"\x1b_Gi=31;ENOTSUPPORTED:no\x1b\\", **fakes.PLAIN}, "half blocks", (10, 20)),
        (fakes.PLAIN, "half blocks", (10, 20)),
    ],
)
def test_the_way_is_what_the_terminal_answers(answers, way, cell):
    terminal, code = asked(answers)
    assert (code, *told(terminal)[:2]) == (0, way, cell)
    assert told(terminal)[2] < 0.9


def test_a_silent_terminal_is_waited_for_a_second():
    terminal, code = asked(fakes.SILENT)
    way, _, seconds = told(terminal)
    assert (code, way) == (0, "half blocks")
    assert 0.9 < seconds < 3


def test_a_slow_terminal_is_waited_for():
    terminal, code = asked(fakes.KITTY, answers_after=0.2)  # three times, before the last
    assert (code, told(terminal)[0]) == (0, "kitty")


@pytest.mark.parametrize("name", ["screen-256color", "tmux-256color", "linux"])
def test_what_may_take_questions_for_text_is_not_asked_them(name):
    terminal, _ = asked(fakes.PLAIN, environment={"TERM": name})
    assert told(terminal)[0] == "half blocks"
    assert b"\x1b_G" not in terminal.seen
    assert (b"\x1b[c" in terminal.seen) == (name != "linux")


def test_a_terminal_that_was_started_from_tmux_is_asked_after_all():
    terminal, _ = asked(fakes.KITTY, environment={"TMUX": "/run/tmux,1,0"})
    assert told(terminal)[0] == "kitty"


def test_tmux_hands_the_question_on():
    answers = {"name": b"\x1bP>|tmux 3.4\x1b\\", **fakes.PLAIN, "kitty": b"never"}
    wrapped = rb"\x1bPtmux;\x1b\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\x1b\\\x1b\\"
    for reply, way in ((b"\x1b_Gi=31;OK\x1b\\", "kitty in tmux"), (b"", "half blocks")):
        terminal = fakes.Terminal([sys.executable, "-c", ASK], answers, {"TERM": "tmux-256color"})
        while not re.search(wrapped, terminal.seen):
            assert terminal.look()
        terminal.press(reply)
        assert terminal.leave() == 0
        assert told(terminal)[0] == way


MODES = "import termios, sys; print(termios.tcgetattr(1)[3] & (termios.ECHO | termios.ICANON))"
BOTH = termios.ECHO | termios.ICANON


@pytest.mark.parametrize("answers", [fakes.KITTY, fakes.SILENT])
def test_the_terminal_is_as_it_was(answers):
    terminal, _ = asked(answers, f"{ASK}\n{MODES}")
    assert terminal.seen.split()[-1] == str(BOTH).encode()
    assert b"i=31;OK" not in terminal.seen.replace(b"a=q", b"")  # no echo of an answer


READ = "\nprint('read', repr(sys.stdin.readline()))"


def test_keys_typed_ahead_are_still_there():
    terminal = fakes.Terminal(
        [
            sys.executable,
            "-c",
            f"input('ready')\ntime = __import__('time')\ntime.sleep(.5)\n{ASK}{READ}",
        ],
        fakes.KITTY,
    )
    terminal.wait_for(b"ready")
    terminal.press(b"\nls -l\n")
    assert terminal.leave() == 0
    assert b"read 'ls -l\\n'" in terminal.seen
    assert told(terminal)[0] == "half blocks"  # it was not asked


def test_nothing_is_left_to_be_read():
    code = f"{ASK}\nimport select\nprint('left', select.select([0], [], [], 0.3)[0])"
    for answers in (fakes.KITTY, fakes.XTERM, fakes.ITERM2):
        terminal, _ = asked(answers, code)
        assert b"left []" in terminal.seen


def test_ctrl_c_while_it_waits_gives_the_terminal_back():
    asks = textwrap.indent(ASK, " ")
    code = f"try:\n{asks}\nexcept KeyboardInterrupt:\n print('stopped')\n{MODES}"
    terminal = fakes.Terminal([sys.executable, "-c", code], fakes.SILENT)
    terminal.wait_for(b"\x1b[c")
    terminal.press(b"\x03")
    assert terminal.leave() == 0
    assert terminal.seen.endswith(b"stopped\r\n%d\r\n" % BOTH)


def test_a_terminal_whose_keys_another_program_reads_is_not_asked():
    code = f"import tty\ntty.setcbreak(0)\n{ASK}"
    terminal, _ = asked(fakes.KITTY, code)
    assert told(terminal)[0] == "half blocks"
    assert b"\x1b[c" not in terminal.seen


def test_the_background_asks_nothing_and_is_not_stopped():
    script = f"set -m; {sys.executable} -c '{ASK}' & own=$!; sleep 0.1; wait $own; echo code $?"
    terminal = fakes.Terminal(["bash", "-c", script], fakes.KITTY)
    assert terminal.leave() == 0
    assert b"code 0" in terminal.seen
    assert told(terminal)[0] == "half blocks"
    assert b"\x1b[c" not in terminal.seen


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", Answers()),
        (b"\x1b[?1;2c", Answers()),
        (b"\x1b[?4;2c", Answers()),  # the first is no attribute
        (b"\x1b[?62;14;22c", Answers()),
        (b"\x1b[?62;4c", Answers(sixel=True)),
        (
            b"x\x1b[?1;0;16Sy\x1b[?2;0;800;600Sz\x1b[?62;4c",
            Answers(False, False, True, "", None, 16, (800, 600)),
        ),
        (b"\x1b[?1;3;0S\x1b[?2;1S\x1b[?62c", Answers()),
        (b"\x1b[?1;0;0S\x1b[?2;0;0;0S\x1b[?62;4c", Answers(sixel=True, colors=0)),
        (b"\x1bP>|WezTerm 2024\x07\x1b[?62;4c", Answers(False, True, True, "WezTerm 2024")),
        (b"\x1b[6;99999;1t\x1b[?62c", Answers()),
        (b"\x1b]1337;ReportCellSize=1.2.3;4;5\x07\x1b[?62c", Answers(iterm2=True)),
    ],
)
def test_answers_are_read(data, found):
    assert read_answers(data, SIZE) == found


def test_keys_typed_while_it_waits_are_put_back_where_that_is_allowed():
    legacy = Path("/proc/sys/dev/tty/legacy_tiocsti")
    if legacy.exists() and legacy.read_text().strip() == "0":
        pytest.skip("this system does not let a program put keys back")
    terminal = fakes.Terminal([sys.executable, "-c", f"{ASK}{READ}"], fakes.SILENT)
    terminal.wait_for(b"\x1b[c")
    terminal.press(b"ls\n")
    assert terminal.leave() == 0
    assert b"read 'ls\\n'" in terminal.seen


def read_until(end, words):
    seen = b""
    while words not in seen:
        assert select.select([end], [], [], fakes.LIMIT)[0], seen
        seen += os.read(end, 1 << 12)
    return seen


@pytest.mark.parametrize("has_input", [True, False])
def test_a_terminal_that_started_nobody_is_asked_too(has_input):
    end, terminal = pty.openpty()
    stdin = terminal if has_input else subprocess.DEVNULL
    command = [sys.executable, "-c", ASK]
    with subprocess.Popen(command, stdin=stdin, stdout=terminal, start_new_session=True):
        os.close(terminal)
        read_until(end, b"\x1b[c")
        os.write(end, b"".join(fakes.KITTY.values()))
        assert b"<kitty>" in read_until(end, b"s\r\n")
    os.close(end)


def test_the_terminal_of_somebody_else_is_not_asked():
    end, other = pty.openpty()
    code = f"import os\nos.dup2(os.open({os.ttyname(other)!r}, os.O_RDWR | os.O_NOCTTY), 1)\n{ASK}"
    mine, exit_code = asked(fakes.KITTY, code)
    assert (exit_code, mine.seen) == (0, b"")
    seen = read_until(end, b"s\r\n")
    assert b"<half blocks>" in seen
    assert b"\x1b[c" not in seen
    os.close(end)
    os.close(other)
