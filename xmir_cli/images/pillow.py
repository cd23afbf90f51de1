"""Pictures in PNG, JPEG and TIFF files, decoded by Pillow; of several frames the first or a named.

Library messages are never passed on: they may quote the file's contents.
"""

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from PIL import ExifTags, Image, ImageFile
from PIL.MpoImagePlugin import MpoImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError
from xmir_cli.images.codestream import check_scans
from xmir_cli.images.integrity import check_png, is_cut
from xmir_cli.images.picture import ImageFormat, Picture, Wanted
from xmir_cli.images.pixels import to_plain
from xmir_cli.images.size import check_size

# a TIFF may chain any number of directories: as many are walked to say that there are several, and
# to name all of them
_FRAMES_LIMIT, _COUNT_LIMIT = 100, 10_000
_FLIPS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _reader(kind: str) -> Callable[[bytes, Wanted], Picture]:
    """The reader of one of Pillow's kinds; no other of its readers is tried.

    An upright JPEG that keeps `wanted.enough` pixels is decoded at a half, a quarter or an eighth
    of its size, sides rounded up. Without a frame the first is read.

    It raises ItemError: too large, too many scans, cut, damaged, no such frame.
    """

    def read(data: bytes, wanted: Wanted) -> Picture:
        _set_up_pillow(wanted.pixel_limit)
        if kind == "JPEG":
            check_scans(data)
        elif kind == "PNG":
            check_png(data)
        with _opened(data, kind, wanted.pixel_limit) as image:
            if wanted.frame is not None:
                _seek(image, wanted.frame)
            check_size(*image.size, wanted.pixel_limit)
            if wanted.enough is not None and kind == "JPEG" and _orientation(image) == 1:
                return _decode_reduced(image, wanted.enough)
            return _decode(image, wanted.frame)

    return read


def _counter(kind: str) -> Callable[[bytes], int]:
    """What counts the pictures in a file of a kind; it raises ItemError for a damaged one."""

    def count(data: bytes) -> int:
        _set_up_pillow(None)
        with _opened(data, kind, None) as image:
            return _count_frames(image, _COUNT_LIMIT)

    return count


@contextmanager
def _opened(data: bytes, kind: str, pixel_limit: int | None) -> Iterator[Image.Image]:
    """The image that Pillow opens; what it raises, here and in the block, becomes an ItemError."""
    try:
        with Image.open(io.BytesIO(data), formats=[kind]) as image:
            yield image
    except ItemError:
        raise
    except (MemoryError, Image.DecompressionBombError):
        raise ItemError(Cause.TOO_LARGE, f"more than {pixel_limit} pixels") from None
    except Exception:  # noqa: BLE001 # Pillow raises OSError, SyntaxError, struct.error and others
        if is_cut(data, kind):
            raise ItemError(Cause.TRUNCATED, "the file ends early") from None
        raise ItemError(Cause.CORRUPT, "damaged file") from None


def _seek(image: Image.Image, frame: int) -> None:
    try:
        image.seek(frame - 1)
    except EOFError:
        frames = _count_frames(image, _COUNT_LIMIT)
        raise ItemError(Cause.BAD_FRAME, f"there is no frame {frame}, only 1 to {frames}") from None


def _set_up_pillow(pixel_limit: int | None) -> None:
    """Process-wide switches, set at each load because any other import may turn them."""
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    Image.MAX_IMAGE_PIXELS = pixel_limit
    # catch_warnings is not safe in threads; Pillow's warnings quote the file
    warnings.filterwarnings("ignore", module=r"PIL\.")


def _decode(image: Image.Image, frame: int | None) -> Picture:
    orientation = _orientation(image)
    image.load()
    plain, done = to_plain(image)
    if orientation in _FLIPS:
        if not isinstance(image, TiffImageFile):  # Pillow has turned a TIFF while loading it
            plain = plain.transpose(_FLIPS[orientation])
        done.append("exif-rotated")
    frames = _count_frames(image, _FRAMES_LIMIT) if frame is None else 1
    if frames > 1:
        done.append(f"first of {frames if frames < _FRAMES_LIMIT else 'many'} frames")
    return Picture(plain, *plain.size, tuple(done))


def _decode_reduced(image: Image.Image, enough: int) -> Picture:
    full = image.size
    image.draft("", (enough, enough))
    image.load()
    plain, done = to_plain(image)
    if plain.size != full:
        done.append(f"jpeg 1/{-(-full[0] // plain.width)}")
    return Picture(plain, *full, tuple(done))


def _orientation(image: Image.Image) -> int:
    with suppress(Exception):  # damaged EXIF does not make the pixels unusable
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    return 1


def _count_frames(image: Image.Image, limit: int) -> int:
    """Frames in the file, counted up to a limit where they have to be walked."""
    if isinstance(image, PngImageFile | MpoImageFile):
        return int(image.n_frames)
    frames = 1
    if isinstance(image, TiffImageFile):
        with suppress(Exception):  # the end of the chain, or a damaged second page
            while frames < limit:
                image.seek(frames)
                frames += 1
    return frames


def _format(kind: str, extensions: tuple[str, ...], *starts: bytes) -> ImageFormat:
    def recognises(data: bytes) -> bool:
        return data.startswith(starts)

    return ImageFormat(kind, extensions, recognises, _counter(kind), _reader(kind), starts)


PNG = _format("PNG", (".png",), b"\x89PNG\r\n\x1a\n")
JPEG = _format("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif"), b"\xff\xd8\xff")
TIFF = _format("TIFF", (".tif", ".tiff"), b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
