"""Pictures in PNG, JPEG and TIFF files, decoded by Pillow; of several frames the first or a named.

Library messages are never passed on: they may quote the file's contents.
"""

import io
import warnings
from contextlib import suppress

from PIL import ExifTags, Image, ImageFile
from PIL.MpoImagePlugin import MpoImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from xmir_cli.errors import ItemError
from xmir_cli.images.codestream import check_scans
from xmir_cli.images.pixels import to_plain
from xmir_cli.images.signature import check_png, is_cut
from xmir_cli.images.size import check_size

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


def read_with_pillow(
    data: bytes, kind: str, frame: int | None, pixel_limit: int, enough: int | None = None
) -> tuple[Image.Image, tuple[int, int], list[str]]:
    """The upright picture in a file's bytes, its full width and height, and what was done.

    Args:
        data: The whole file.
        kind: PNG, JPEG or TIFF: no other of Pillow's readers is tried.
        frame: From 1; None for the first.
        pixel_limit: More pixels are refused before they are decoded.
        enough: Pixels of the shorter side that will do; None for all. An upright JPEG that keeps
            as many is decoded at a half, a quarter or an eighth of its size, sides rounded up.

    Raises:
        ItemError: Too large, too many scans, cut, damaged, no such frame.
    """
    _set_up_pillow(pixel_limit)
    if kind == "JPEG":
        check_scans(data)
    elif kind == "PNG":
        check_png(data)
    try:
        with Image.open(io.BytesIO(data), formats=[kind]) as image:
            if frame is not None:
                _seek(image, frame)
            check_size(*image.size, pixel_limit)
            if enough is not None and kind == "JPEG" and _orientation(image) == 1:
                return _decode_reduced(image, enough)
            plain, done = _decode(image, frame)
            return plain, plain.size, done
    except ItemError:
        raise
    except (MemoryError, Image.DecompressionBombError):
        raise ItemError(f"too-large: more than {pixel_limit} pixels") from None
    except Exception:  # noqa: BLE001 # Pillow raises OSError, SyntaxError, struct.error and others
        code = "truncated: the file ends early" if is_cut(data, kind) else "corrupt: damaged file"
        raise ItemError(code) from None


def _seek(image: Image.Image, frame: int) -> None:
    try:
        image.seek(frame - 1)
    except EOFError:
        raise ItemError(f"bad-frame: there is no frame {frame}") from None


def _set_up_pillow(pixel_limit: int) -> None:
    """Process-wide switches, set at each load because any other import may turn them."""
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    Image.MAX_IMAGE_PIXELS = pixel_limit
    # catch_warnings is not safe in threads; Pillow's warnings quote the file
    warnings.filterwarnings("ignore", module=r"PIL\.")


def _decode(image: Image.Image, frame: int | None) -> tuple[Image.Image, list[str]]:
    orientation = _orientation(image)
    image.load()
    plain, done = to_plain(image)
    if orientation in _FLIPS:
        if not isinstance(image, TiffImageFile):  # Pillow has turned a TIFF while loading it
            plain = plain.transpose(_FLIPS[orientation])
        done.append("exif-rotated")
    frames = _count_frames(image) if frame is None else 1
    if frames > 1:
        done.append(f"first of {frames if frames < _FRAMES_LIMIT else 'many'} frames")
    return plain, done


def _decode_reduced(
    image: Image.Image, enough: int
) -> tuple[Image.Image, tuple[int, int], list[str]]:
    full = image.size
    image.draft("", (enough, enough))
    image.load()
    plain, done = to_plain(image)
    if plain.size != full:
        done.append(f"jpeg 1/{-(-full[0] // plain.width)}")
    return plain, full, done


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
