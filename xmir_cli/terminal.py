"""Standard output as a terminal: whether it is one, how wide, and what may go to it."""

import os
import sys

from xmir_cli.console import escape

FALLBACK = 80  # cells of a terminal that does not tell


def is_terminal() -> bool:
    """Whether somebody looks at what is printed."""
    return sys.stdout is not None and sys.stdout.isatty()


def find_width() -> int | None:
    """Cells of a line: of $COLUMNS, else of the terminal; None for none of both."""
    asked = os.environ.get("COLUMNS", "")
    if asked.isdecimal() and int(asked) > 0:
        return int(asked)
    if not is_terminal():
        return None
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or FALLBACK
    except OSError:
        return FALLBACK


def bold(text: str) -> str:
    """Text that stands out, where the terminal and the user allow it."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return text if plain or not is_terminal() else f"\033[1m{text}\033[0m"


def safe(text: str) -> str:
    """Text as it goes out: to a terminal without what would move its cursor or change its keys."""
    return escape(text) if is_terminal() else text
