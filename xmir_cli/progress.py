"""One line of progress on a terminal: of how many how many are done, and how long it still takes.

It is drawn by a thread, less than two seconds after the command began, which takes a moment to
begin itself, whether or not anything is done by then.
Of the stages of a pipe that write to one terminal, one draws at a time: the first that has reason
to, until it is done, or until another wants to that knows how much it has to do, as it does not.
While a program such as less or fzf reads the terminal's keys one by one, the screen is that one's.
Below a cell of a notebook it is drawn by `notebook.CellLine`.
"""

import fcntl
import os
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from xmir_cli import steps
from xmir_cli.notebook import CellLine, is_notebook

QUIET_SECONDS = 1.0  # work shorter than this shows nothing
_PAUSE = 0.25  # seconds between two looks
_GAP = 0.05  # seconds for which the terminal is free now and then for another stage
_CLEAR = "\r\033[K"
_WIDTH = 80  # of a terminal that does not tell
_BARS = (20, 10)  # cells of a bar: where there is room, and where there is less

Total = int | None | Callable[[], int | None]  # of how many; None while nobody knows

_terminal = threading.RLock()  # held while a line is written to the terminal


class Progress:
    """How much of some work is done."""

    def __init__(self, what: str, total: Total, unit: str = "") -> None:
        """`unit` names what is counted."""
        self.what, self.unit, self.done = what, unit, 0.0
        self._total = total if callable(total) else lambda: total
        self._start = time.monotonic()
        self._steps, self._of = 0, 0  # inside the unit at hand
        self._before = 0.0  # done by an earlier run
        self._told: tuple[str, ...] = ()

    @property
    def has_end(self) -> bool:
        """Whether it is known how much there is to do."""
        return bool(self._total())

    def advance(self, count: float = 1) -> None:
        """Say that `count` more are done."""
        self.done += count
        self._steps = self._of = 0

    def go_on(self, count: float) -> None:
        """Say that so many were done before this run: they took none of its time."""
        self.done += count
        self._before += count

    def tell(self, *words: str) -> None:
        """Say how it goes in place of the speed, such as `loss 0.163`, what matters most first."""
        self._told = words

    def step(self, total: int | None, count: int) -> None:
        """Say that a unit of so many steps begins, or that so many steps more are done."""
        if total is not None:
            self._steps, self._of = 0, total
        self._steps += count

    def describe(self, width: int | None = None) -> str:
        """The line; in `width` cells without what does not fit: the bar first, then how it goes."""
        total, seconds = self._total(), time.monotonic() - self._start
        done = self.done + (min(self._steps / self._of, 1.0) if self._of else 0.0)
        own = done - self._before
        bars, count = [""], f"{self.done:.0f} done" if self.done else ""
        if total:
            bars = [_bar(done / total, cells) for cells in (*_BARS, 0)]
            count = f"{self.done:.0f}/{total} {self.unit}".rstrip()
        inside = f"+ {min(self._steps, self._of)}/{self._of} steps" if self._of else ""
        speed = (f"{self.done / seconds:.1f}/s",) if self.done > seconds else ()
        how = self._told or speed
        end = clock(seconds)
        if total and own:
            end = f"{clock(max(total - done, 0) * seconds / own)} left"
        tries = [
            *((self.what, bar, count, inside, *how, end) for bar in bars),
            *((self.what, count, inside, *how[:kept], end) for kept in range(len(how) - 1, -1, -1)),
            (count, inside, end),
        ]
        lines = ["  ".join(filter(None, parts)) for parts in tries]
        return next((line for line in lines if width is None or len(line) <= width), lines[-1])


def _bar(share: float, cells: int) -> str:
    filled = round(cells * min(share, 1.0))
    return f"[{'#' * filled}{'.' * (cells - filled)}]" if cells else ""


class _Line:
    """The line of a terminal on which progress is drawn, if nobody else draws there."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._lock: int | None = None
        self._drawn = False
        self._thread = threading.Thread(target=self._draw, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._ended.set()
        self._thread.join()
        if self._drawn:
            self._take()
        if self._lock is not None:
            if not _is_taken():
                _write(_CLEAR)
            self._release()

    def _draw(self) -> None:
        wait = QUIET_SECONDS
        while not self._ended.wait(wait):
            stack = list(_stack)
            if not stack or _is_taken():
                continue
            if self._lock is not None and not stack[-1].has_end:
                self._release()
                if self._ended.wait(_GAP):
                    break
            if self._take():
                width = _width() - 1
                # what somebody else prints begins at the left
                _write(f"{_CLEAR}{stack[-1].describe(width)[:width]}\r")
                self._drawn = True
            wait = _GAP / 2 if self._lock is None and stack[-1].has_end else _PAUSE

    def _take(self) -> bool:
        """Whether the terminal is this process's to draw on."""
        if self._lock is None:
            self._lock = _lock_terminal()
        return self._lock is not None

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
        self._lock = None


_stack: list[Progress] = []  # the last is drawn
_cells: list[CellLine] = []  # on which it is in a notebook


@contextmanager
def shown(what: str, total: Total, unit: str = "") -> Iterator[Progress]:
    """Progress of what is done meanwhile, drawn where stderr is a terminal that clears lines.

    Or where it stands below a cell of a notebook.
    """
    progress = Progress(what, total, unit)
    in_cell = is_notebook()
    if not in_cell and (not is_watched() or is_dumb()):
        yield progress
        return
    _stack.append(progress)
    line = _open_line(in_cell) if len(_stack) == 1 else None
    try:
        with steps.listening(progress.step):
            yield progress
    finally:
        _stack.remove(progress)
        if line is not None:
            line.close()
            _cells.clear()


def _open_line(in_cell: bool) -> "_Line | CellLine":
    if not in_cell:
        return _Line()
    _cells.append(CellLine(_describe, _terminal))
    return _cells[-1]


def _describe(width: int) -> str | None:
    stack = list(_stack)
    return stack[-1].describe(width) if stack else None


def is_watched() -> bool:
    """Whether somebody may be looking."""
    return sys.stderr is not None and sys.stderr.isatty()


def is_dumb() -> bool:
    """Whether the terminal says that it knows no escape codes, as Emacs' shell does."""
    return os.environ.get("TERM") == "dumb"


@contextmanager
def line_free() -> Iterator[None]:
    """While text is printed to the terminal, no progress stands there, not even another stage's."""
    with _terminal:
        drawn = is_watched() and not is_dumb() and (_stack or _is_drawn_elsewhere())
        if drawn and not _is_taken():
            _write(_CLEAR)
        for each in _cells:
            each.clear()
        yield


def _write(text: str) -> None:
    with _terminal, suppress(OSError, ValueError):  # gone, or closed: nobody to tell
        sys.stderr.write(text)
        sys.stderr.flush()


def _lock_terminal() -> int | None:
    """A descriptor that is open as long as this process draws; None while another one does."""
    try:
        descriptor = _open_terminal()
    except (OSError, ValueError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _is_taken() -> bool:
    """Whether a program that fills the screen reads the terminal's keys: they come one by one."""
    with suppress(termios.error, OSError, ValueError):
        mode: int = termios.tcgetattr(sys.stderr.fileno())[3]
        return not mode & termios.ICANON
    return False


def _is_drawn_elsewhere() -> bool:
    """Whether another process draws on this terminal."""
    with suppress(OSError, ValueError):
        descriptor = _open_terminal()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
    return False


def _open_terminal() -> int:
    """A descriptor of its own: a pipe's stages share those that they were started with."""
    return os.open(os.ttyname(sys.stderr.fileno()), os.O_RDONLY | os.O_NOCTTY)


def _width() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or _WIDTH
    except (OSError, ValueError):
        return _WIDTH


def clock(seconds: float) -> str:
    """A time as it is read: `0:40`, `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
