"""Standard error as a terminal, which the stages of a pipe share: one of them draws at a time."""

import fcntl
import os
import sys
import termios
import threading
from contextlib import suppress

_WIDTH = 80  # of a terminal that does not tell

writing = threading.RLock()  # held while a line is written to the terminal


def is_watched() -> bool:
    """Whether somebody may be looking."""
    return sys.stderr is not None and sys.stderr.isatty()


def is_dumb() -> bool:
    """Whether the terminal says that it knows no escape codes, as Emacs' shell does."""
    return os.environ.get("TERM") == "dumb"


def write(text: str) -> None:
    """Write it at once."""
    with writing, suppress(OSError, ValueError):  # gone, or closed: nobody to tell
        sys.stderr.write(text)
        sys.stderr.flush()


def begin_drawing() -> int | None:
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


def is_taken() -> bool:
    """Whether a program that fills the screen reads the terminal's keys: they come one by one."""
    with suppress(termios.error, OSError, ValueError):
        mode: int = termios.tcgetattr(sys.stderr.fileno())[3]
        return not mode & termios.ICANON
    return False


def is_drawn_elsewhere() -> bool:
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


def find_width() -> int:
    """Cells of a line."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or _WIDTH
    except (OSError, ValueError):
        return _WIDTH
