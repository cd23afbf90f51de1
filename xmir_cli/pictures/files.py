"""Image files: read whole, hashed, and known by the picture that is meant."""

import errno
import hashlib
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError
from xmir_cli.images.decode import count_pictures, decode_bytes
from xmir_cli.images.picture import Picture
from xmir_cli.pictures.identity import identity_of, name_of, split_name
from xmir_cli.pictures.scales import meet_scales
from xmir_cli.pictures.spelling import spelling_hint

FILE_LIMIT = 512 << 20  # bytes
_REASONS = {
    errno.ENOENT: (Cause.MISSING, "no such file"),
    errno.ENOTDIR: (Cause.MISSING, "no such file"),
    errno.EACCES: (Cause.PERMISSION, "not allowed to read it"),
    errno.EPERM: (Cause.PERMISSION, "not allowed to read it"),
    errno.ELOOP: (Cause.SYMLINK_LOOP, "its links lead round in a circle"),
    errno.ENAMETOOLONG: (Cause.NAME_TOO_LONG, "no file can have this name"),
    errno.ENXIO: (Cause.NOT_REGULAR, "not a regular file"),
}


@dataclass(frozen=True, eq=False)
class ImageFile:
    """The bytes of an image's file, not decoded yet."""

    identity: str  # of the image
    sha256: str  # of the file
    data: bytes
    frame: int | None  # from 1; None where the name asks for none

    def decode(self, window: str = "auto", enough: int | None = None) -> Picture:
        """The picture, its greys and size as `Preprocessing` says them; raises ItemError."""
        picture = decode_bytes(self.data, name_of("", self.frame), window, enough)
        meet_scales(picture.done)
        return picture


def read_picture(name: str, window: str = "auto", enough: int | None = None) -> Picture:
    """The picture of the image `name` alone; raises ItemError."""
    return open_image(name).decode(window, enough)


def open_image(name: str) -> ImageFile:
    """The file of the image `name`, read whole and hashed; never waits for a pipe.

    A file that really has a name with `#frame=N` at its end is taken as it is; its identity has
    the fragment all the same, for what keeps images by name cannot see the file. Raises ItemError.
    """
    path, frame = (name, None) if os.path.lexists(name) else split_name(name)
    sha256, data = _read_file(path) if frame is None else _LAST.read(path)
    return ImageFile(identity_of(sha256, name), sha256, data, frame)


def count_images(path: str) -> int:
    """How many pictures the file at `path` holds; raises ItemError."""
    return count_pictures(_LAST.read(path).data)


class _Content(NamedTuple):
    """A file's SHA-256 and its bytes."""

    sha256: str
    data: bytes


class _LastFile:
    """Keeps the file that was read last, for its frames are asked for one after the other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._mark: tuple[int, ...] = ()
        self._content: _Content | None = None

    def read(self, path: str) -> _Content:
        """The file's content, read again when anything of it has changed."""
        with self._lock, _reasons_named(path):
            found = os.stat(path)  # noqa: PTH116 # a Path would refuse some names in its own way
            mark = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
            if self._content is None or mark != self._mark:
                self._content = None  # the old one goes before the new one comes
                self._content, self._mark = _read_file(path), mark
            return self._content


_LAST = _LastFile()


def _read_file(path: str) -> _Content:
    """A regular file's content; raises ItemError."""
    with _reasons_named(path):
        # without O_NONBLOCK opening a FIFO waits for its writer
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            data = _read_regular(descriptor)
        finally:
            os.close(descriptor)
    return _Content(hashlib.sha256(data).hexdigest(), data)


def _read_regular(descriptor: int) -> bytes:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise ItemError(Cause.NOT_REGULAR, "not a regular file")
    if status.st_size > FILE_LIMIT:
        raise ItemError(Cause.TOO_LARGE, f"{status.st_size} bytes, the limit is {FILE_LIMIT}")
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        return file.read(FILE_LIMIT)


@contextmanager
def _reasons_named(path: str) -> Iterator[None]:
    """What the system says of a file becomes an ItemError with a stable code."""
    try:
        yield
    except OSError as error:
        cause, detail = _REASONS.get(error.errno or 0, (Cause.UNREADABLE, f"{error.strerror}"))
        if cause == Cause.MISSING:
            detail += spelling_hint(path)
        raise ItemError(cause, detail) from None
    except ValueError:  # a NUL byte, or characters that no file name has
        raise ItemError(Cause.BAD_PATH, "not the name of a file") from None
