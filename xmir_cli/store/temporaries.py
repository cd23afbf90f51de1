"""Where an output is written before it takes its name: names that nobody can guess, and locked.

What a killed run has left has no lock, and goes when the next run writes into the same folder.
"""

import errno
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import stat
import time
from contextlib import suppress
from pathlib import Path

_NAME = re.compile(r"\.xmir-[0-9a-f]{16}(-[0-9a-f]{16})?\.(tmp|old)")
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOUND = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PAUSE = 100  # times as long as looking through a folder took, it is not looked through again
_due: dict[Path, float] = {}  # when a folder may be looked through again


def make_file(target: Path) -> tuple[Path, int]:
    """A new file beside `target`, and its descriptor, which holds its lock."""
    _sweep(target.parent)
    while True:
        path = aside(target, "tmp")
        descriptor = os.open(path, _NEW, 0o600)
        if _take(descriptor, path):
            return path, descriptor
        os.close(descriptor)


def make_folder(target: Path) -> tuple[Path, int]:
    """A new folder beside `target`, and the descriptor that holds its lock."""
    _sweep(target.parent)
    while True:
        path = aside(target, "tmp")
        path.mkdir(0o700)
        with suppress(FileNotFoundError):  # swept away already
            descriptor = os.open(path, _FOLDER)
            if _take(descriptor, path):
                return path, descriptor
            os.close(descriptor)


def aside(target: Path, end: str) -> Path:
    """A name beside `target` that nobody can guess, no longer than any."""
    key = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]
    return target.with_name(f".xmir-{key}-{secrets.token_hex(8)}.{end}")


def remove(path: Path) -> None:
    """Remove a file or folder of the user that no run is working on; else it stays."""
    try:
        descriptor = os.open(path, _FOUND)
    except OSError:
        return
    try:
        own = os.fstat(descriptor)
        if own.st_uid != os.geteuid() or not (_lock(descriptor) and _bears(descriptor, path)):
            return
        if stat.S_ISDIR(own.st_mode):
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    except OSError:
        return
    finally:
        os.close(descriptor)


def _take(descriptor: int, path: Path) -> bool:
    """Lock what is new; False when another run took it for one that was left, and removed it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # a disk that knows no locks: nobody removes anything there
        return error.errno != errno.EWOULDBLOCK
    return _bears(descriptor, path)


def _lock(descriptor: int) -> bool:
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _bears(descriptor: int, path: Path) -> bool:
    """Whether the open file still has its name."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _sweep(folder: Path) -> None:
    """Remove what killed runs have left in the folder, of this output or another."""
    start, folder = time.monotonic(), folder.absolute()
    if start < _due.get(folder, 0.0):
        return
    with suppress(OSError):
        names = [name for name in os.listdir(folder) if _NAME.fullmatch(name)]  # noqa: PTH208 # names alone
        for name in names:
            remove(folder / name)
    end = time.monotonic()
    _due[folder] = end + _PAUSE * (end - start)
