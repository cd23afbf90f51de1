"""Asking a terminal what it can, and reading its answers without taking anybody's keys.

Sources: XTerm Control Sequences (DA1, XTVERSION, XTWINOPS, XTSMGRAPHICS); the graphics protocol of
kitty; the escape codes of iTerm2.
"""

import os
import re
import select
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fcntl import ioctl

_ESC = "\x1b"
_KITTY = f"{_ESC}_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA{_ESC}\\"  # a pixel, which is not kept
_HARMLESS = f"{_ESC}[>q{_ESC}[16t{_ESC}[14t"  # its name, and the sizes of a cell and of all of it
_POINTS = f"{_ESC}]1337;ReportCellSize\x07"
_SIXELS = f"{_ESC}[?1;1;0S{_ESC}[?2;1;0S"  # how many colours, how large a picture
_LAST = f"{_ESC}[c"  # what every terminal answers, after all the rest
_WIPE = f"\r{_ESC}[K"  # what a terminal may have printed that knows none of it
_EVERYTHING = _KITTY + _HARMLESS + _POINTS + _SIXELS + _LAST + _WIPE
_SECONDS = 1.0  # until a terminal is taken for silent
_MORE_SECONDS = 1.0  # for the last answer, when others have come
_OUTER_SECONDS = 0.5  # for what is behind tmux
_LEAST = 100  # pixels that a picture's sides may have at least
_CELL = (2.0, 400.0)  # pixels that a cell's sides may have

_END = rb"(?:\x1b\\|\x07)"
_ANSWERS = {
    "kitty": re.compile(rb"\x1b_G([^\x1b]*)" + _END),
    "name": re.compile(rb"\x1bP>\|([^\x1b\x07]*)" + _END),
    "cell": re.compile(rb"\x1b\[6;(\d+);(\d+)t"),
    "area": re.compile(rb"\x1b\[4;(\d+);(\d+)t"),
    "iterm2": re.compile(rb"\x1b\]1337;ReportCellSize=([\d.]+);([\d.]+)(?:;([\d.]+))?" + _END),
    "sixels": re.compile(rb"\x1b\[\?([12]);0;(\d+)(?:;(\d+))?S"),
    "refused": re.compile(rb"\x1b\[\?[12];[123][\d;]*S"),
    "last": re.compile(rb"\x1b\[\?([\d;]*)c"),
}


@dataclass(frozen=True)
class Answers:
    """What a terminal says of itself; all empty where it is silent."""

    kitty: bool = False  # it shows pictures as kitty does
    iterm2: bool = False  # as iTerm2
    sixel: bool = False
    name: str = ""
    cell: tuple[float, float] | None = None  # width and height of one, pixels
    colors: int | None = None  # of a sixel picture
    largest: tuple[int, int] | None = None  # width and height of a sixel picture, pixels


def ask(wrapped: bool, size: os.terminal_size) -> Answers:
    """What the terminal behind standard output answers; never waits long.

    It is not asked where that would be somebody else's business: from the background, or while
    another program reads its keys; nor when keys are waiting there that could not be put back.

    Args:
        wrapped: Whether the environment says that it is tmux or screen, whom questions may mislead.
        size: Its columns and lines.
    """
    with suppress(OSError, ValueError, termios.error), _terminal() as terminal:
        found = _talk(terminal, _HARMLESS + _LAST if wrapped else _EVERYTHING, "last", _SECONDS)
        name = find_name(found)
        if name.startswith("tmux "):
            found += _talk(terminal, pass_on(_KITTY), "kitty", _OUTER_SECONDS)
        elif wrapped and name:
            found = _talk(terminal, _EVERYTHING, "last", _SECONDS)
        return read_answers(found, size)
    return Answers()


def read_answers(data: bytes, size: os.terminal_size) -> Answers:
    """The answers in what came, in whatever order."""
    last = _ANSWERS["last"].search(data)
    kitty = _ANSWERS["kitty"].search(data)
    name = find_name(data)
    sixels = {each[1]: each for each in _ANSWERS["sixels"].finditer(data)}
    colors, largest = sixels.get(b"1"), sixels.get(b"2")
    return Answers(
        kitty is not None and kitty[1].endswith(b";OK"),
        bool(_ANSWERS["iterm2"].search(data)) or name.startswith(("iTerm2", "WezTerm")),
        last is not None and b"4" in last[1].split(b";")[1:],
        name,
        _cell(data, size),
        None if colors is None else int(colors[2]),
        None if largest is None else _size_of(largest),
    )


def _size_of(answer: re.Match[bytes]) -> tuple[int, int] | None:
    """Width and height, where it says them and they are no mere zeros."""
    width, height = int(answer[2]), int(answer[3] or 0)
    return (width, height) if min(width, height) >= _LEAST else None


def find_name(data: bytes) -> str:
    """How the terminal calls itself, or nothing."""
    found = _ANSWERS["name"].search(data)
    return found[1].decode("ascii", "replace") if found else ""


def _cell(data: bytes, size: os.terminal_size) -> tuple[float, float] | None:
    """Width and height of a cell, of what says it best."""
    found = []
    if cell := _ANSWERS["cell"].search(data):
        found.append((float(cell[2]), float(cell[1])))
    if (area := _ANSWERS["area"].search(data)) and size.columns and size.lines:
        found.append((int(area[2]) / size.columns, int(area[1]) / size.lines))
    with suppress(ValueError):
        if points := _ANSWERS["iterm2"].search(data):
            scale = float(points[3] or 1)
            found.append((float(points[2]) * scale, float(points[1]) * scale))
    low, high = _CELL
    return next((cell for cell in found if low <= min(cell) and max(cell) <= high), None)


def pass_on(text: str) -> str:
    """A sequence that tmux hands to the terminal behind it as it is."""
    escaped = text.replace(_ESC, _ESC * 2)
    return f"{_ESC}Ptmux;{escaped}{_ESC}\\"


@contextmanager
def _terminal() -> Iterator[int]:
    """The terminal, whose keys come one by one and unseen; as it was afterwards.

    Raises OSError where it is not to be asked.
    """
    terminal = os.open(os.ttyname(sys.stdout.fileno()), os.O_RDWR | os.O_NOCTTY)
    try:
        if not _is_ours(terminal):
            raise OSError
        before = termios.tcgetattr(terminal)
        if not before[3] & termios.ICANON:
            raise OSError
        raw = [*before]
        raw[3] &= ~(termios.ICANON | termios.ECHO)
        leave = termios.TCSANOW
        try:
            termios.tcsetattr(terminal, termios.TCSANOW, raw)
            if _is_ready(terminal, 0):
                raise OSError
            yield terminal
        except BaseException as error:
            if not isinstance(error, OSError):  # answers that nobody reads any more are let go
                leave = termios.TCSAFLUSH
            raise
        finally:
            termios.tcsetattr(terminal, leave, before)
    finally:
        os.close(terminal)


def _is_ours(terminal: int) -> bool:
    """Whether this process may read it: it is in front, or no other terminal started it."""
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        with suppress(OSError):
            os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
            return sys.stdin is not None and sys.stdin.isatty() and _is_same(terminal)
        return True


def _is_same(terminal: int) -> bool:
    return os.ttyname(sys.stdin.fileno()) == os.ttyname(terminal)


def _talk(terminal: int, asked: str, last: str, seconds: float) -> bytes:
    """The answers, until the last one came or nothing more does; typed keys are put back."""
    os.write(terminal, asked.encode())
    data, end = b"", time.monotonic() + seconds
    waits = _MORE_SECONDS
    while not _ANSWERS[last].search(data) and _is_ready(terminal, end - time.monotonic()):
        part = os.read(terminal, 1 << 12)
        if not part:
            break
        data += part
        if waits and any(each.search(data) for each in _ANSWERS.values()):
            end, waits = end + waits, 0.0
    keys = data
    for each in _ANSWERS.values():
        keys = each.sub(b"", keys)
    for key in keys:
        with suppress(OSError):  # newer systems do not allow it
            ioctl(terminal, termios.TIOCSTI, bytes([key]))
    return data


def _is_ready(terminal: int, seconds: float) -> bool:
    return bool(select.select([terminal], [], [], max(seconds, 0))[0])
