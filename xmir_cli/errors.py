"""What can go wrong, and the exit code of each kind.

code  meaning
0     done
1     a bug (traceback; one line for the file of a saliency method)
2     usage
3     done, some inputs skipped
4     a gate was not met (the output is still written)
5     data that cannot be used
6     model, weights or device
7     output exists
130   interrupted
141   the reader went away
"""

import errno
from enum import IntEnum
from typing import TypeVar

from xmir_cli.causes import Cause

Found = TypeVar("Found")

# how Python, torch, Arrow and the loader of libraries say that there was no memory
_STARVED = (
    "allocate memory",
    "can't start new thread",
    "failed to map segment",
    "out of memory",
    "Resource temporarily unavailable",
)


class Status(IntEnum):
    """Exit codes of commands that finish."""

    DONE = 0
    SKIPPED = 3
    GATE = 4


class XmirError(Exception):
    """One line for the user: where, what was expected, what was found; the hint says what to do.

    A setting of a command stands in backticks, such as `per_class`; the command line puts its flag
    there.
    """

    code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
        if hint:
            self.add_note(hint)  # of a traceback, which a notebook shows


class UsageError(XmirError):
    """The command line asks for something that cannot be."""

    code = 2


class SettingError(XmirError):
    """A value that a setting cannot have; the command line names the setting's flag instead.

    `value` is what was given, where the message does not tell it.
    """

    code = 2

    def __init__(self, name: str, message: str, hint: str = "", value: str = "") -> None:
        super().__init__(" ".join(part for part in (name, value) if part) + f": {message}", hint)
        self.name, self.message, self.value = name, message, value


class MethodError(XmirError):
    """The file of a saliency method does not say what help and flags are made of: a bug in it."""

    code = 1


class DataError(XmirError):
    """Data that cannot be used: nothing readable, artefacts that do not fit."""

    code = 5


class ModelError(XmirError):
    """Model, weights or device."""

    code = 6


class ExistsError(XmirError):
    """The output is there already, and it was neither to be replaced nor continued."""

    code = 7


class ItemError(XmirError):
    """One input cannot be used; it is left out by its cause, the run goes on."""

    code = 5

    def __init__(self, cause: Cause, detail: str) -> None:
        super().__init__(f"{cause}: {detail}")
        self.cause, self.detail = cause, detail

    def __reduce__(self) -> "tuple[type[ItemError], tuple[Cause, str]]":
        """What another process makes it of."""
        return ItemError, (self.cause, self.detail)

    @property
    def reason(self) -> str:
        """Cause and detail, as a skip line has them."""
        return f"{self.cause}: {self.detail}"

    @property
    def bare(self) -> "ItemError":
        """The same to keep: the frames of a traceback hold a file's bytes and all made of them."""
        return ItemError(self.cause, self.detail)

    def because(self, detail: str) -> "ItemError":
        """The same cause with another detail."""
        return ItemError(self.cause, detail)


def need_usable(found: Found | ItemError) -> Found:
    """What was found; raises it when it is the ItemError of an input that cannot be used."""
    if isinstance(found, ItemError):
        raise found.bare
    return found


def reason_of(error: Exception, most: int = 120) -> str:
    """What a library says of an error, in one line of at most so many characters; else its kind."""
    return " ".join(str(error).split())[:most] or type(error).__name__


def is_starved(error: BaseException) -> bool:
    """Whether it tells of memory that was missing, and not of what was asked for."""
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    return any(phrase in str(error) for phrase in _STARVED)
