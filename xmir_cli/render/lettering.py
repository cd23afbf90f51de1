"""Text that fits its place."""

import unicodedata
from functools import cache

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


def drawable(text: str) -> str:
    """`text` in letters that the font has: é becomes e, and what has no base its code point."""
    return "".join(each if each.isascii() else _drawable(each) for each in text)


@cache
def _drawable(character: str) -> str:
    base = unicodedata.normalize("NFKD", character).casefold()
    plain = "".join(each for each in base if not unicodedata.combining(each))
    if _has(character):
        return character
    if plain.isascii() and plain:
        return plain.upper() if character.isupper() else plain
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def _has(character: str) -> bool:
    """Whether the font draws something else than for what no font has."""
    face = font(20)
    return bytes(face.getmask(character)) != bytes(face.getmask("\uffff"))
