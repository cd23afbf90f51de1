"""What Pillow decodes: pictures of at most 8 bits a sample, and deep greys in PNG files.

Library messages are never passed on: they may quote the file's contents.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np
from PIL import ExifTags, Image, ImageFile

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError
from xmir_cli.images.integrity import is_cut
from xmir_cli.images.pixels import to_plain
from xmir_cli.images.samples import Samples, to_image

FLIPS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@contextmanager
def opened(data: bytes, kind: str, pixel_limit: int | None) -> Iterator[Image.Image]:
    """The image that Pillow opens, and no other of its readers; its faults become ItemErrors."""
    # process-wide switches, set at each load because any other import may turn them
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    Image.MAX_IMAGE_PIXELS = None  # sizes are checked here before anything is decoded
    # catch_warnings is not safe in threads; Pillow's warnings quote the file
    warnings.filterwarnings("ignore", module=r"PIL\.")
    with (
        faults_named(data, kind, pixel_limit),
        Image.open(io.BytesIO(data), formats=[kind]) as image,
    ):
        yield image


@contextmanager
def faults_named(data: bytes, kind: str, pixel_limit: int | None) -> Iterator[None]:
    """Whatever goes wrong in the block becomes an ItemError."""
    try:
        yield
    except ItemError:
        raise
    except MemoryError:
        raise ItemError(Cause.TOO_LARGE, f"more than {pixel_limit} pixels") from None
    except Exception:  # noqa: BLE001 # Pillow raises OSError, SyntaxError, struct.error and others
        if is_cut(data, kind):
            raise ItemError(Cause.TRUNCATED, "the file ends early") from None
        raise ItemError(Cause.CORRUPT, "damaged file") from None


def orientation_of(image: Image.Image) -> int:
    """How a viewer turns the image, as EXIF has it: 1 is not at all."""
    with suppress(Exception):  # damaged EXIF does not make the pixels unusable
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    return 1


def seek_frame(image: Image.Image, frame: int, frames: int) -> None:
    """Go to a frame, from 1; raises ItemError when there is none."""
    try:
        image.seek(frame - 1)
    except EOFError:
        raise ItemError(Cause.BAD_FRAME, f"there is no frame {frame}, only 1 to {frames}") from None


def shown_plain(image: Image.Image, window: str) -> tuple[Image.Image, list[str]]:
    """Decoded pixels of at most 8 bits in mode L, RGB or F without metadata, and what was done."""
    plain, done = to_plain(image)
    if plain.mode == "L" and window != "auto":
        shown, more = to_image(Samples(np.asarray(plain), 8), window)
        return shown, done + more
    return plain, done
