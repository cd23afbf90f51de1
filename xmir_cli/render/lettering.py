"""Text that fits its place."""

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def font(size: int) -> Font:
    """Pillow's own font: the same on every machine."""
    return ImageFont.load_default(size)


def shorten(text: str, face: Font, width: float) -> str:
    """`text`, its middle left out where it would be wider than `width` pixels."""
    if face.getlength(text) <= width:
        return text
    for kept in range(len(text) - 1, 1, -1):
        head = (kept + 1) // 2
        short = f"{text[:head]}…{text[len(text) - (kept - head) :]}"
        if face.getlength(short) <= width:
            return short
    return "…"
