"""Every file is written beside its place, synced, renamed: the old one, the new one, or none.

A symbolic link under the name of an output is replaced like a file, and never followed.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from xmir_cli.errors import DataError, ExistsError
from xmir_cli.store import temporaries
from xmir_cli.store.modes import keep_mode


def refuse_existing(path: Path, force: bool) -> None:
    """Raise ExistsError when `path` is there and may not be replaced; DataError: not at all."""
    if _is_special(path):
        raise DataError(f"{path}: a pipe or device, so it is not replaced")
    if os.path.lexists(path) and not force:
        raise ExistsError(f"{path}: exists already", "Replace it with `force`.")


def _is_special(path: Path) -> bool:
    """Whether it is no file, folder or link to one, or a name that the system gives them."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        return True
    place = os.path.realpath(path.parent)
    return path.is_symlink() and (place == "/dev" or place.startswith(("/dev/fd", "/proc/")))


@contextmanager
def atomic_file(path: Path, settled: bool = True) -> Iterator[BinaryIO]:
    """A binary file that takes the name `path` only when the block ends without an error.

    It has the mode of the file that it replaces, else that of a new one. Two writers both succeed,
    the last one stays. Raises OSError naming `path`, and DataError when it is a folder or device;
    nothing is left behind then, and what stood under `path` stays.

    With `settled` it is on the disk when the block is left. Without, a loss of power may damage it:
    for files that are compared with a checksum when they are read, and a thousand times as many.
    """
    if _is_special(path) or path.is_dir():
        raise DataError(f"{path}: not a regular file, so it is not replaced")
    with _named(path):
        temporary, descriptor = temporaries.make_file(path)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                keep_mode(file.fileno(), path)
                if settled:
                    os.fsync(file.fileno())
                temporary.replace(path)  # while it is locked: see temporaries
        except BaseException:
            with suppress(FileNotFoundError):
                temporary.unlink()
            raise
        if settled:
            _sync_folder(path.parent)


@contextmanager
def _discarded(folder: Path) -> Iterator[None]:
    """After an error the folder goes."""
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def settle(folder: Path) -> None:
    """Return when everything that was written to the disk of the folder has reached it."""
    import ctypes  # noqa: PLC0415 # as below

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        syncfs = getattr(ctypes.CDLL(None), "syncfs", lambda _: os.sync())  # Linux has it
        syncfs(descriptor)
    finally:
        os.close(descriptor)


def on_disk(file: BinaryIO) -> None:
    """Return when all that was written to the file has reached the disk; OSError when it cannot."""
    file.flush()
    os.fsync(file.fileno())


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A folder that takes the name `path`, replacing what stood there, when the block ends well.

    The folder and the files in it have the modes of those that they replace.
    """
    if _is_special(path) or (path.exists() and not path.is_dir()):
        raise DataError(f"{path}: not a folder, so it is not replaced")
    with _named(path):
        temporary, lock = temporaries.make_folder(path)
        try:
            with _discarded(temporary):
                yield temporary
                for file in temporary.iterdir():
                    _finish(file, path / file.name)
                keep_mode(lock, path)
                _sync_folder(temporary)
                old = _swap(temporary, path)
        finally:
            os.close(lock)
        _sync_folder(path.parent)
        if old is not None:
            temporaries.remove(old)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors without a name, or with a temporary one, get the name that the user knows."""
    try:
        yield
    except OSError as error:
        if error.filename is not None and ".xmir-" not in os.fsdecode(error.filename):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None


def _swap(temporary: Path, target: Path) -> Path | None:
    """Rename the folder; where what it replaces lies now."""
    if target.is_symlink():
        target.unlink()
    try:
        temporary.rename(target)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
        if _exchange(temporary, target):
            return temporary
        old = temporaries.aside(target, "old")
        target.rename(old)
        try:
            temporary.rename(target)
        except BaseException:
            old.rename(target)
            raise
        return old
    return None


def _exchange(one: Path, other: Path) -> bool:
    """Let two paths change places in one step; False where system or disk cannot (Linux can)."""
    import ctypes  # noqa: PLC0415 # 5 ms that help and most commands need not pay

    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    if rename is None:
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE of linux/fs.h
    done: int = rename(here, os.fsencode(one), here, os.fsencode(other), exchange)
    return done == 0


def _finish(file: Path, before: Path) -> None:
    """Give a file its mode, and return when it is on the disk."""
    with file.open("rb") as opened:
        keep_mode(opened.fileno(), before)
        os.fsync(opened.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
