"""Opening files without ever waiting on a pipe or a device."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from xmir_cli.errors import DataError


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading; raises DataError for anything else, in one line."""
    try:
        # without O_NONBLOCK opening a FIFO waits for its writer
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise DataError(f"{path}: {(error.strerror or 'unreadable').lower()}") from None
    except ValueError:
        raise DataError(f"{str(path)!r}: not the name of a file") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise DataError(f"{path}: not a regular file")
    return os.fdopen(descriptor, "rb")
