"""What people see on stderr: notes, skips and progress."""

import os
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError, Status
from xmir_cli.progress import line_free
from xmir_cli.progress import shown as progress
from xmir_cli.shared_terminal import is_dumb
from xmir_cli.wire.records import Record

__all__ = ["Ending", "Records", "Skips", "error", "note", "progress", "show", "warning"]

SKIP_LINES = 20  # this many skips are named one by one, the rest are only counted


def show(name: str) -> str:
    """A name made safe for a terminal: control, format and separator characters escaped."""
    escaped = escape(name)
    return escaped if len(escaped) <= 120 else f"{escaped[:60]}...{escaped[-57:]}"


def escape(text: str) -> str:
    """Text of any length made safe for a terminal."""
    return "".join(
        character
        if unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}
        else character.encode("unicode_escape", "surrogatepass").decode("ascii")
        for character in text
    )


_wordings: list[Callable[[str], str]] = []  # the last one holds


@contextmanager
def speaking(wording: Callable[[str], str]) -> Iterator[None]:
    """While it lasts, `in_words` calls settings as `wording` does."""
    _wordings.append(wording)
    try:
        yield
    finally:
        _wordings.pop()


def in_words(text: str) -> str:
    """A text that names settings in backticks, in the words of whoever asked."""
    return _wordings[-1](text) if _wordings else text


def note(message: str) -> None:
    """One line for people on stderr."""
    _say("note", message)


def warning(message: str) -> None:
    """One line about something that is probably not wanted."""
    _say("warning", message)


def error(message: str, hint: str = "") -> None:
    """The one line of a failed command, and what to do about it."""
    _say("error", message)
    if hint:
        _say("hint", hint)


_silent: list[bool] = []  # whether notes and warnings are dropped; the last one holds


@contextmanager
def hushed(silent: bool) -> Iterator[None]:
    """While it lasts, notes and warnings are not said, if `silent`: another process says them."""
    _silent.append(silent)
    try:
        yield
    finally:
        _silent.pop()


def _say(kind: str, message: str) -> None:
    if sys.stderr is None:  # closed by the caller: nobody to tell
        return
    if kind in {"note", "warning"} and _silent and _silent[-1]:
        return
    label = f"xmir: {kind}: "
    if sys.stderr.isatty() and not (os.environ.get("NO_COLOR") or is_dumb()):
        color = {"error": "31", "warning": "33", "hint": "36", "note": "2"}[kind]
        label = f"\033[{color}m{label}\033[0m"
    text = f"{label}{escape(message)}\n"  # names in it may hold line ends and terminal escapes
    encoding = sys.stderr.encoding or "ascii"
    with line_free(), suppress(OSError):  # full, or gone: nobody to tell
        sys.stderr.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sys.stderr.flush()


@dataclass(frozen=True)
class Ending:
    """How a command ends: its exit code, and what is said after its last record."""

    status: Status = Status.DONE
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()  # gates that are not met, a line each
    afterwards: Callable[[], None] | None = None  # what is done once all is said

    def judged(self, failures: Sequence[str]) -> "Ending":
        """The same, or with exit code 4 where a gate was not met."""
        if not failures:
            return self
        return replace(self, status=Status.GATE, failures=(*self.failures, *failures))

    def tell(self) -> Status:
        """Say it on stderr and give the exit code."""
        for line in self.warnings:
            warning(line)
        for line in self.notes:
            note(line)
        for line in self.failures:
            error(line)
        if self.afterwards is not None:
            self.afterwards()
        return self.status


Records = Generator[Record, None, Ending]  # what a story yields, and how it ends


class Skips:
    """Counts inputs left out, names the first ones, and gives the ending."""

    def __init__(self) -> None:
        self.codes: Counter[str] = Counter()
        self.listed: list[dict[str, str]] = []  # path and code of each whose path was told
        self.reasons: list[tuple[str, str]] = []  # of each that has a name of its own

    def add(self, name: str, error: ItemError, path: str | None = None) -> None:
        """Leave out `name` for a cause."""
        code = str(error.cause)
        self.codes[code] += 1
        self.reasons.append((name, error.reason))
        if path is not None:
            self.listed.append({"path": path, "code": code})
        if self.total <= SKIP_LINES:
            warning(f"skipped {show(name)}: {error.reason}")

    def count(self, cause: Cause, number: int) -> None:
        """So many more were left out for a cause that was told already."""
        if number:
            self.codes[str(cause)] += number

    @property
    def total(self) -> int:
        """How many were left out."""
        return self.codes.total()

    def finish(self, done: int, verb: str) -> Ending:
        """The sum (`98 embedded, 14 skipped (9 truncated, 5 empty)`) and the exit code."""
        if not self.codes:
            return Ending()
        parts = ", ".join(f"{count} {code}" for code, count in self.codes.most_common())
        return Ending(Status.SKIPPED, (f"{done} {verb}, {self.total} skipped ({parts})",))
