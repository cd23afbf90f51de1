"""Any of Pillow's pixel modes becomes 8-bit grey, 8-bit colour or unrounded grey in 0..255."""

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError

# The largest value of the scale that deep greys are taken to be on: the first that holds them all.
# Neither PNG nor TIFF says how many of its 16 bits a 12-bit detector uses, so the values decide.
_SCALES = {
    "I;16": (4095, 65535),
    "I;16B": (4095, 65535),
    "I;16L": (4095, 65535),
    "I;16N": (4095, 65535),
    "I": (255, 4095, 65535),
    "F": (1, 255, 4095, 65535),
}
_GREY_ALPHA = {"LA", "La"}
_COLOR_ALPHA = {"RGBA", "RGBa", "PA"}
_COLOR = {"P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV"}
_PHOTOMETRIC = 262  # TIFF tag; 0 is "white is zero"


def to_plain(image: Image.Image) -> tuple[Image.Image, list[str]]:
    """Pixels in mode L, RGB or F without any of the file's metadata, and what was done.

    Raises ItemError for values or modes that make no picture.
    """
    if image.mode in _SCALES:
        return _scale(image)
    if image.mode in _GREY_ALPHA | _COLOR_ALPHA or "transparency" in image.info:
        return _over_black(image)
    if image.mode in {"1", "L"}:
        return _bare(image.convert("L")), []
    if image.mode not in _COLOR:
        raise ItemError(Cause.NO_DECODER, f"pixels of the kind {image.mode}")
    return _bare(image.convert("RGB")), ["cmyk"] if image.mode == "CMYK" else []


def _bare(copy: Image.Image) -> Image.Image:
    """Without text, EXIF or colour profile, that a copy inherits: they may name the patient."""
    copy.info.clear()
    return copy


def _over_black(image: Image.Image) -> tuple[Image.Image, list[str]]:
    grey = image.mode in _GREY_ALPHA | {"1", "L"}
    layers = image.convert("LA" if grey else "RGBA")
    alpha = layers.getchannel("A")
    plain = layers.convert("L" if grey else "RGB")
    if alpha.getextrema() == (255, 255):
        return _bare(plain), []
    black = Image.new(plain.mode, plain.size, 0)
    return _bare(Image.composite(plain, black, alpha)), ["alpha over black"]


def _scale(image: Image.Image) -> tuple[Image.Image, list[str]]:
    values = np.asarray(image).astype(np.float32)
    if not np.isfinite(values).all():
        raise ItemError(Cause.BAD_VALUES, "NaN or infinite pixels")
    low, high = float(values.min()), float(values.max())
    fitting = [scale for scale in _SCALES[image.mode] if low >= 0 and high <= scale]
    if fitting:  # a conventional scale
        low, high = 0.0, float(fitting[0])
    values = (values - low) * (255 / (high - low if high > low else 1))
    if isinstance(image, TiffImageFile) and image.tag_v2.get(_PHOTOMETRIC) == 0:
        values = 255 - values  # Pillow inverts 8-bit "white is zero" but not deep ones
    return Image.fromarray(values.astype(np.float32)), [f"scaled from {low:g}..{high:g}"]
