"""A file becomes a picture: by content, not by extension, with every oddity named or refused.

PNG, JPEG and TIFF; of several frames the first. Library messages are never passed on: they may
quote the file's contents.
"""

import errno
import io
import os
import stat
import warnings
from contextlib import suppress
from dataclasses import dataclass

from PIL import ExifTags, Image, ImageFile
from PIL.MpoImagePlugin import MpoImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from xmir_cli.errors import ItemError
from xmir_cli.images.pixels import to_plain
from xmir_cli.images.signature import is_cut, kind_of

PIXEL_LIMIT = 89_478_485  # Pillow's own limit against decompression bombs
FILE_LIMIT = 512 << 20  # bytes
ASPECT_LIMIT = 200  # longer side : shorter side
_FRAMES_LIMIT = 100  # a TIFF may chain any number of directories

_FLIPS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
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
    width: int  # as displayed
    height: int
    done: tuple[str, ...]  # what had to be done, for the record: "exif-rotated", "alpha over black"


def decode(path: str, pixel_limit: int = PIXEL_LIMIT) -> Picture:
    """The picture in the file `path`; raises ItemError with a stable code when there is none."""
    return decode_bytes(read_bytes(path), pixel_limit)


def read_bytes(path: str) -> bytes:
    """A regular file's bytes; never waits for a pipe. Raises ItemError."""
    try:
        # without O_NONBLOCK opening a FIFO waits for its writer
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
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


def decode_bytes(data: bytes, pixel_limit: int = PIXEL_LIMIT) -> Picture:
    """The picture in a file's bytes; raises ItemError with a stable code when there is none."""
    kind = kind_of(data)
    if kind == "DICOM":
        raise ItemError("no-decoder: DICOM files cannot be read yet")
    _set_up_pillow(pixel_limit)
    try:
        with Image.open(io.BytesIO(data), formats=[kind]) as image:
            _check_size(image, pixel_limit)
            return _decode(image)
    except ItemError:
        raise
    except (MemoryError, Image.DecompressionBombError):
        raise ItemError(f"too-large: more than {pixel_limit} pixels") from None
    except Exception:  # noqa: BLE001 # Pillow raises OSError, SyntaxError, struct.error and others
        code = "truncated: the file ends early" if is_cut(data, kind) else "corrupt: damaged file"
        raise ItemError(code) from None


def _set_up_pillow(pixel_limit: int) -> None:
    """Process-wide switches, set at each load because any other import may turn them."""
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    Image.MAX_IMAGE_PIXELS = pixel_limit
    # catch_warnings is not safe in threads; Pillow's warnings quote the file
    warnings.filterwarnings("ignore", module=r"PIL\.")


def _check_size(image: Image.Image, pixel_limit: int) -> None:
    width, height = image.size
    if width * height > pixel_limit:
        raise ItemError(f"too-large: {width} x {height} pixels, the limit is {pixel_limit}")
    if min(width, height) < 1 or max(width, height) > ASPECT_LIMIT * min(width, height):
        raise ItemError(f"bad-size: {width} x {height} pixels")


def _decode(image: Image.Image) -> Picture:
    orientation = _orientation(image)
    image.load()
    plain, done = to_plain(image)
    if orientation in _FLIPS:
        if not isinstance(image, TiffImageFile):  # Pillow has turned a TIFF while loading it
            plain = plain.transpose(_FLIPS[orientation])
        done.append("exif-rotated")
    frames = _count_frames(image)
    if frames > 1:
        done.append(f"first of {frames if frames < _FRAMES_LIMIT else 'many'} frames")
    return Picture(plain, plain.width, plain.height, tuple(done))


def _orientation(image: Image.Image) -> int:
    with suppress(Exception):  # damaged EXIF does not make the pixels unusable
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    return 1


def _count_frames(image: Image.Image) -> int:
    """Frames in the file, counted up to the limit where they have to be walked."""
    if isinstance(image, PngImageFile | MpoImageFile):
        return int(image.n_frames)
    frames = 1
    if isinstance(image, TiffImageFile):
        with suppress(Exception):  # the end of the chain, or a damaged second page
            while frames < _FRAMES_LIMIT:
                image.seek(frames)
                frames += 1
    return frames
