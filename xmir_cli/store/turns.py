"""One run at a time on an output: two would take each other's parts away, or read them."""

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xmir_cli import console

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PAUSE = 0.2  # seconds between two looks at somebody else's lock


@contextmanager
def hold(output: Path | None) -> Iterator[None]:
    """Keep an output for this run, by a locked file beside it that goes with the run.

    What is done of an output on the way lies under one name, whoever does it. So a run begins when
    another one of the same output has ended. On a disk without locks nobody knows of another.
    """
    descriptor, path = None, None
    if output is not None:
        path = _lock_of(output)
        descriptor = _wait_for_lock(path, output)
    try:
        yield
    finally:
        if descriptor is not None and path is not None:
            path.unlink(missing_ok=True)
            os.close(descriptor)


def is_held(output: Path) -> bool:
    """Whether a run is working on it, so that what lies there of it is not left behind."""
    try:
        descriptor = os.open(_lock_of(output), _FLAGS & ~os.O_CREAT)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a disk without locks
        return False
    finally:
        os.close(descriptor)
    return False


def _lock_of(output: Path) -> Path:
    key = hashlib.sha256(os.fsencode(output.name)).hexdigest()[:16]
    return output.with_name(f".xmir-{key}.lock")


def _wait_for_lock(path: Path, output: Path) -> int | None:
    """As `_lock`, once nobody else has it; Ctrl-C ends the waiting."""
    told = False
    while True:
        try:
            return _lock(path)
        except BlockingIOError:
            if not told:
                console.note(f"{output}: another run is working on it; this one waits for its end")
            told = True
            time.sleep(_PAUSE)


def _lock(path: Path) -> int | None:
    """The descriptor of the locked file; None where it cannot be had."""
    while True:
        try:
            descriptor = os.open(path, _FLAGS, 0o600)
        except OSError:  # no such folder, or not to be written: told when the output is
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(path.lstat(), os.fstat(descriptor)):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            raise
        except FileNotFoundError:
            pass  # the run that had it has just ended
        except OSError:
            os.close(descriptor)
            return None
        os.close(descriptor)
