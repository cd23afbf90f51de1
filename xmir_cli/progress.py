"""One line of progress on a terminal: of how many how many are done, and how long it still takes.

It is drawn by a thread, less than two seconds after the command began, which takes a moment to
begin itself, whether or not anything is done by then.
Of the stages of a pipe that write to one terminal, one draws at a time: the first that has reason
to, until it is done, or until another wants to that knows how much it has to do, as it does not.
While a program such as less or fzf reads the terminal's keys one by one, the screen is that one's.
Below a cell of a notebook it is drawn by `notebook.CellLine`.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from xmir_cli import steps
from xmir_cli.notebook import CellLine, is_notebook
from xmir_cli.shared_terminal import (
    begin_drawing,
    find_width,
    is_drawn_elsewhere,
    is_dumb,
    is_taken,
    is_watched,
    write,
    writing,
)

QUIET_SECONDS = 1.0  # work shorter than this shows nothing
_PAUSE = 0.25  # seconds between two looks
_GAP = 0.05  # seconds for which the terminal is free now and then for another stage
_CLEAR = "\r\033[K"
_BARS = (20, 10)  # cells of a bar: where there is room, and where there is less

Total = int | None | Callable[[], int | None]  # of how many; None while nobody knows


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
        new = self.done - self._before
        speed = (f"{new / seconds:.1f}/s",) if new > seconds else ()
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
            if not is_taken():
                write(_CLEAR)
            self._release()

    def _draw(self) -> None:
        wait = QUIET_SECONDS
        while not self._ended.wait(wait):
            stack = list(_stack)
            if not stack or is_taken():
                continue
            if self._lock is not None and not stack[-1].has_end:
                self._release()
                if self._ended.wait(_GAP):
                    break
            if self._take():
                width = find_width() - 1
                # what somebody else prints begins at the left
                write(f"{_CLEAR}{stack[-1].describe(width)[:width]}\r")
                self._drawn = True
            wait = _GAP / 2 if self._lock is None and stack[-1].has_end else _PAUSE

    def _take(self) -> bool:
        """Whether the terminal is this process's to draw on."""
        if self._lock is None:
            self._lock = begin_drawing()
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
    _cells.append(CellLine(_describe, writing))
    return _cells[-1]


def _describe(width: int) -> str | None:
    stack = list(_stack)
    return stack[-1].describe(width) if stack else None


@contextmanager
def line_free() -> Iterator[None]:
    """While text is printed to the terminal, no progress stands there, not even another stage's."""
    with writing:
        drawn = is_watched() and not is_dumb() and (_stack or is_drawn_elsewhere())
        if drawn and not is_taken():
            write(_CLEAR)
        for each in _cells:
            each.clear()
        yield


def clock(seconds: float) -> str:
    """A time as it is read: `0:40`, `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
