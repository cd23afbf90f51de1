"""Opening files without ever waiting on a pipe or a device, and no more of them than fits."""

import os
import re
import stat
from io import BufferedReader
from pathlib import Path

from xmir_cli.errors import DataError
from xmir_cli.store.unfinished import tell_unfinished

DESCRIPTION_LIMIT = 64 << 20  # bytes of a file of JSON beside others, such as a manifest
_SHELLS_PIPE = re.compile(r"/dev/(fd/\d+|stdin)|/proc/(self|\d+)/fd/\d+")  # `<(...)` is one


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file for reading; raises DataError for anything else, in one line."""
    descriptor = _open(path)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise DataError(f"{path}: not a regular file")


def open_source(path: Path) -> BufferedReader:
    """The same for what is read once from its start, which may also be a pipe that a shell made.

    Every other pipe, a device and a folder are refused: nobody may ever write into it, or without
    end.
    """
    descriptor = _open(path)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISFIFO(mode) and _SHELLS_PIPE.fullmatch(os.fspath(path)):
        os.set_blocking(descriptor, True)
    elif not stat.S_ISREG(mode):
        os.close(descriptor)
        raise DataError(f"{path}: not a regular file", "A pipe is read as standard input: -")
    return os.fdopen(descriptor, "rb")


def read_regular(path: Path, limit: int) -> bytes:
    """All of a regular file of at most `limit` bytes; raises DataError."""
    with open_regular(path) as file:
        refuse_larger(path, file, limit)
        return file.read(limit)


def refuse_larger(path: Path, file: BufferedReader, limit: int) -> None:
    """Raise DataError when the open file has more than `limit` bytes."""
    if os.fstat(file.fileno()).st_size > limit:
        size = f"{limit >> 20} MB" if limit >> 20 else f"{limit >> 10} kB"
        raise DataError(f"{path}: larger than {size}, the most that such a file may have")


def _open(path: Path) -> int:
    try:
        # without O_NONBLOCK opening a FIFO waits for its writer
        return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        said, hint = tell_unfinished(path) if missing else ("", "")
        said = said or (error.strerror or "unreadable").lower()
        raise DataError(f"{path}: {said}", hint) from None
    except ValueError:
        raise DataError(f"{str(path)!r}: not the name of a file") from None
