"""Every file is written beside its place, synced, renamed: the old one, the new one, or none."""

import errno
import fcntl
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from xmir_cli.errors import DataError, ExistsError

_STALE = 60.0  # seconds after which what nobody has a lock on is a killed run's
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def refuse_existing(path: Path, force: bool) -> None:
    """Raise ExistsError when `path` is there and may not be replaced; DataError: not at all."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise DataError(f"{path}: a pipe or device, so it is not replaced")
    if path.exists() and not force:
        raise ExistsError(f"{path}: exists already", "Replace it with `force`.")


@contextmanager
def atomic_file(path: Path, settled: bool = True) -> Iterator[BinaryIO]:
    """A binary file that takes the name `path` only when the block ends without an error.

    A symbolic link is followed, so that what it points to is replaced. Two writers both succeed,
    the last one stays. Raises OSError naming `path`, and DataError when it is a folder or device;
    nothing is left behind then, and what stood under `path` stays.

    With `settled` it is on the disk when the block is left. Without, a loss of power may damage it:
    for files that are compared with a checksum when they are read, and a thousand times as many.
    """
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    if target.exists() and not target.is_file():
        raise DataError(f"{path}: not a regular file, so it is not replaced")
    with _named(path):
        temporary, file = _open_temporary(target)
        try:
            with file:
                yield file
                file.flush()
                if settled:
                    os.fsync(file.fileno())
                temporary.replace(target)  # while the lock is held: see _open_temporary
        except BaseException:
            with suppress(FileNotFoundError):
                temporary.unlink()
            raise
        if settled:
            _sync_folder(target.parent)


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
    """A folder that takes the name `path`, replacing what stood there, when the block ends well."""
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_dir():
        raise DataError(f"{path}: not a folder, so it is not replaced")
    with _named(path):
        temporary, lock = _make_temporary(target)
        try:
            with _discarded(temporary):
                yield temporary
                for file in temporary.iterdir():
                    _sync(file)
                _sync_folder(temporary)
            _swap(temporary, target)
        finally:
            os.close(lock)
        _sync_folder(target.parent)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors without a name, or with a temporary one, get the name that the user knows."""
    try:
        yield
    except OSError as error:
        if error.filename is not None and ".xmir-" not in os.fsdecode(error.filename):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None


def _shared(target: Path) -> Path:
    """Where to write, under a name that a later run finds again."""
    key = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]
    return target.with_name(f".xmir-{key}.tmp")


def _own(shared: Path) -> Path:
    """Where to write while another run has that name."""
    return shared.with_name(f"{shared.stem}-{secrets.token_hex(8)}.tmp")


def _open_temporary(target: Path) -> tuple[Path, BinaryIO]:
    """A file to write; one that a killed run has left is taken over.

    Its lock lasts until after the renaming, so nobody takes over what another is about to rename.
    """
    shared = _shared(target)
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with suppress(OSError):  # something else has that name
        file = os.fdopen(os.open(shared, flags, 0o666), "wb")
        if _lock(file.fileno(), shared):
            file.truncate()
            return shared, file
        file.close()
    own = _own(shared)
    return own, own.open("xb")


def _make_temporary(target: Path) -> tuple[Path, int]:
    """An empty folder to fill, and the descriptor that holds its lock."""
    shared = _shared(target)
    with suppress(FileExistsError):
        shared.mkdir()
    descriptor = _hold(shared)
    if descriptor is not None:
        for left in shared.iterdir():
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left)
            else:
                left.unlink()
        return shared, descriptor
    own = _own(shared)
    own.mkdir()
    descriptor = os.open(own, _FOLDER)
    _lock(descriptor, own)  # so that nobody clears it away
    return own, descriptor


def _hold(folder: Path) -> int | None:
    """A descriptor with the folder's lock; None when it is none, or another run has it."""
    try:
        descriptor = os.open(folder, _FOLDER)
    except OSError:
        return None
    if _lock(descriptor, folder):
        return descriptor
    os.close(descriptor)
    return None


def _lock(descriptor: int, name: Path) -> bool:
    """Whether the open file is ours alone and still bears its name."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return name.stat().st_ino == os.fstat(descriptor).st_ino
    except OSError:  # another writer has it, has renamed it, or the disk knows no locks
        return False


def _swap(temporary: Path, target: Path) -> None:
    try:
        temporary.rename(target)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        old = temporary
        if not _exchange(temporary, target):
            old = temporary.with_name(f"{temporary.stem}-{secrets.token_hex(8)}.old")
            target.rename(old)
            temporary.rename(target)
        if old == _shared(target):
            _remove(old)  # unless another run has taken it over, or will
        else:
            shutil.rmtree(old, ignore_errors=True)
    for left in target.parent.glob(f"{_shared(target).stem}-*"):  # by killed runs
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _STALE:
                _remove(left)


def _remove(folder: Path) -> None:
    """Remove a folder that no run is working on."""
    descriptor = _hold(folder)
    if descriptor is not None:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _exchange(one: Path, other: Path) -> bool:
    """Let two paths change places in one step; False where system or disk cannot (Linux can)."""
    import ctypes  # noqa: PLC0415 # 5 ms that help and most commands need not pay

    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    if rename is None:
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE of linux/fs.h
    done: int = rename(here, os.fsencode(one), here, os.fsencode(other), exchange)
    return done == 0


def _sync(file: Path) -> None:
    with file.open("rb") as opened:
        os.fsync(opened.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
