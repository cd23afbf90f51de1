"""A file becomes a picture: by content, not by extension, with every oddity named or refused.

`FILE#frame=3` is the third frame of FILE.
"""

import errno
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field

from PIL import Image

from xmir_cli.errors import ItemError, UsageError
from xmir_cli.images.dicom import read_dicom
from xmir_cli.images.pillow import read_with_pillow
from xmir_cli.images.signature import kind_of

PIXEL_LIMIT = 89_478_485  # Pillow's own limit against decompression bombs
FILE_LIMIT = 512 << 20  # bytes
_FRAME = re.compile(r"(.+)#frame=([0-9]{1,9})", re.DOTALL)
_REASONS = {
    errno.ENOENT: "missing: no such file",
    errno.ENOTDIR: "missing: no such file",
    errno.EACCES: "permission: not allowed to read it",
    errno.EPERM: "permission: not allowed to read it",
    errno.ELOOP: "symlink-loop: its links lead round in a circle",
    errno.ENAMETOOLONG: "name-too-long: no file can have this name",
    errno.ENXIO: "not-regular: not a regular file",
}


@dataclass(frozen=True)
class Picture:
    """A decoded image, upright, without transparency."""

    pixels: Image.Image  # mode L or RGB (0..255), or F: deep greys scaled to 0..255, unrounded
    width: int  # as displayed; the pixels may be fewer, see `reduction`
    height: int
    done: tuple[str, ...]  # what had to be done, for the record: "exif-rotated", "alpha over black"
    columns: Mapping[str, str] = field(default_factory=dict)  # what DICOM tags tell, by allow-list

    @property
    def reduction(self) -> int:
        """The side of a pixel, in pixels of the file."""
        return -(-self.width // self.pixels.width)


def decode(path: str, window: str = "auto", enough: int | None = None) -> Picture:
    """The picture in the file `path`, or of `path#frame=N` its frame N, counted from 1.

    `window` and `enough` are as `Preprocessing` says them, for DICOM and for JPEG. Raises ItemError
    with a stable code when there is no picture.
    """
    return decode_bytes(read_bytes(path), path, window, enough)


def read_bytes(path: str) -> bytes:
    """A regular file's bytes, whatever frame of it is meant; never waits for a pipe.

    Raises ItemError.
    """
    try:
        # without O_NONBLOCK opening a FIFO waits for its writer
        descriptor = os.open(_split(path)[0], os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return _read(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        reason = _REASONS.get(error.errno or 0, f"unreadable: {error.strerror}")
        raise ItemError(reason) from None
    except ValueError:  # a NUL byte, or characters that no file name has
        raise ItemError("bad-path: not the name of a file") from None


def _read(descriptor: int) -> bytes:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise ItemError("not-regular: not a regular file")
    if status.st_size > FILE_LIMIT:
        raise ItemError(f"too-large: {status.st_size} bytes, the limit is {FILE_LIMIT}")
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        return file.read(FILE_LIMIT)


def decode_bytes(
    data: bytes, path: str = "", window: str = "auto", enough: int | None = None
) -> Picture:
    """The picture in a file's bytes; `path` tells which frame. Raises ItemError as `decode`."""
    kind, (_, frame), limit = kind_of(data), _split(path), _pixel_limit()
    if kind == "DICOM":
        image, done, columns = read_dicom(data, frame, window, limit)
        size = image.size
    else:
        image, size, done = read_with_pillow(data, kind, frame, limit, enough)
        columns = {}
    return Picture(image, *size, tuple(done), columns)


def _split(path: str) -> tuple[str, int | None]:
    """The file and the frame, from 1; a file that really has such a name is taken as it is."""
    match = _FRAME.fullmatch(path)
    if match is None or os.path.lexists(path):
        return path, None
    return match[1], int(match[2])


def _pixel_limit() -> int:
    given = os.environ.get("XMIR_MAX_PIXELS", "")
    if given and re.fullmatch(r"[0-9]{1,12}", given) is None:
        raise UsageError(f"XMIR_MAX_PIXELS: expected a number of pixels, found {given}")
    return int(given) if given else PIXEL_LIMIT
