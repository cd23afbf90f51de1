"""libtiff tells of damage on descriptor 2 itself, past every handler; here that is dropped."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def libraries_silenced() -> Iterator[None]:
    """While it lasts, what C libraries write to descriptor 2 is dropped; our own lines are seen."""
    try:
        kept = os.dup(2)
    except OSError:  # closed by the caller: nothing to silence
        yield
        return
    stderr = sys.stderr
    null = os.open(os.devnull, os.O_WRONLY)
    if _writes_to_two():
        sys.stderr = open(  # noqa: SIM115 # a descriptor, closed below
            kept, "w", 1, stderr.encoding, stderr.errors, closefd=False
        )
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        sys.stderr = stderr
        os.close(kept)
        os.close(null)


def _writes_to_two() -> bool:
    try:
        return sys.stderr is not None and sys.stderr.fileno() == 2
    except io.UnsupportedOperation:  # redirected into memory
        return False
