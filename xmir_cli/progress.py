"""One line of progress on a terminal: of how many how many are done, and how long it still takes.

It is drawn by a thread, two seconds after the work began, whether or not anything is done by then.
Of the stages of a pipe that write to one terminal, one draws at a time: the first that has reason
to, until it is done.
"""

import fcntl
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from xmir_cli import steps

QUIET_SECONDS = 1.5  # work shorter than this shows nothing
_PAUSE = 0.25  # seconds between two looks
_CLEAR = "\r\033[K"
_WIDTH = 80  # of a terminal that does not tell
_BAR = 20  # cells

Total = int | None | Callable[[], int | None]  # of how many; None while nobody knows

_terminal = threading.RLock()  # held while a line is written to the terminal


class Progress:
    """How much of some work is done."""

    def __init__(self, what: str, total: Total) -> None:
        self.what, self.done = what, 0.0
        self._total = total if callable(total) else lambda: total
        self._start = time.monotonic()
        self._steps, self._of = 0, 0  # inside the unit at hand

    def advance(self, count: float = 1) -> None:
        """Say that `count` more are done."""
        self.done += count
        self._steps = self._of = 0

    def step(self, total: int | None, count: int) -> None:
        """Say that a unit of so many steps begins, or that so many steps more are done."""
        if total is not None:
            self._steps, self._of = 0, total
        self._steps += count

    def describe(self) -> str:
        """The line."""
        total, seconds = self._total(), time.monotonic() - self._start
        within = min(self._steps / self._of, 1.0) if self._of else 0.0
        done, parts = self.done + within, [self.what]
        if total:
            filled = round(_BAR * min(done / total, 1.0))
            parts.append(f"[{'#' * filled}{'.' * (_BAR - filled)}]")
            parts.append(f"{self.done:.0f}/{total}")
        elif self.done:
            parts.append(f"{self.done:.0f} done")
        if self._of:
            parts.append(f"+ {min(self._steps, self._of)}/{self._of} steps")
        if done:
            parts.append(f"{self.done / seconds:.1f}/s" if self.done > seconds else "")
        if total and done:
            left = max(total - done, 0) * seconds / done
            parts.append(f"{_clock(left)} left")
        else:
            parts.append(_clock(seconds))
        return "  ".join(part for part in parts if part)


class _Line:
    """The line of a terminal on which progress is drawn, if nobody else draws there."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._lock: int | None = None
        self._thread = threading.Thread(target=self._draw, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._ended.set()
        self._thread.join()
        if self._lock is not None:
            _write(_CLEAR)
            os.close(self._lock)

    def _draw(self) -> None:
        wait = QUIET_SECONDS
        while not self._ended.wait(wait):
            wait = _PAUSE
            if self._lock is None:
                self._lock = _lock_terminal()
            if self._lock is not None and (stack := list(_stack)):
                text = stack[-1].describe()[: _width() - 1]
                _write(f"{_CLEAR}{text}\r")  # what somebody else prints begins at the left


_stack: list[Progress] = []  # the last is drawn


@contextmanager
def shown(what: str, total: Total) -> Iterator[Progress]:
    """Progress of what is done meanwhile, drawn where stderr is a terminal."""
    progress = Progress(what, total)
    if not is_watched():
        yield progress
        return
    _stack.append(progress)
    line = _Line() if len(_stack) == 1 else None
    try:
        with steps.listening(progress.step):
            yield progress
    finally:
        _stack.remove(progress)
        if line is not None:
            line.close()


def is_watched() -> bool:
    """Whether somebody may be looking."""
    return sys.stderr is not None and sys.stderr.isatty()


@contextmanager
def line_free() -> Iterator[None]:
    """While text is printed to the terminal, no progress stands there, not even another stage's."""
    with _terminal:
        if is_watched() and (_stack or _is_drawn_elsewhere()):
            _write(_CLEAR)
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


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
