"""Standard output as a terminal: whether it is one, how wide, and what may go to it."""

import os
import sys
from contextlib import nullcontext

from xmir_cli.console import escape
from xmir_cli.errors import DataError
from xmir_cli.progress import line_free
from xmir_cli.shared_terminal import is_dumb

_ALONE = nullcontext()  # where nothing else is drawn
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
    plain = os.environ.get("NO_COLOR") or is_dumb()
    return text if plain or not is_terminal() else f"\033[1m{text}\033[0m"


def safe(text: str) -> str:
    """Text as it goes out: to a terminal without what would move its cursor or change its keys."""
    return escape(text) if is_terminal() else text


def speak_utf8() -> None:
    """From now on text goes out as UTF-8, whatever the locale; raises DataError where none does.

    Names of files that are no UTF-8 go out as they are.
    """
    if sys.stdout is None:
        raise DataError("standard output is closed")
    sys.stdout.reconfigure(  # type: ignore[union-attr] # a TextIOWrapper at run time
        encoding="utf-8", errors="surrogateescape"
    )


def print_text(text: str, watched: bool) -> None:
    """Print it at once; raises DataError where standard output takes no more.

    `watched` says that it is a terminal, on which progress may stand.
    """
    try:
        with line_free() if watched else _ALONE:
            sys.stdout.write(text)
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise DataError(f"standard output: {(error.strerror or 'closed').lower()}") from None
