"""Any of Pillow's pixel modes of 8 bits becomes grey or colour."""

from PIL import Image

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError

_GREY_ALPHA = {"LA", "La"}
_COLOR_ALPHA = {"RGBA", "RGBa", "PA"}
_COLOR = {"P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV"}


def to_plain(image: Image.Image) -> tuple[Image.Image, list[str]]:
    """Pixels in mode L or RGB without any of the file's metadata, and what was done.

    Raises ItemError for modes that make no picture.
    """
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
