"""Text that fits its place, in letters that are there."""

from bisect import bisect_right
from dataclasses import dataclass
from functools import cache

from PIL import ImageDraw

from xmir_cli.render.faces import direction_of, open_face
from xmir_cli.render.spelling import spell

Ink = tuple[int, int, int]

_SHARES = {"l": 0.0, "m": 0.5, "r": 1.0}  # of a text's width that is left of its place


@dataclass(frozen=True)
class Font:
    """Letters of one height for a text of any script.

    ASCII is drawn in Pillow's own font, the same on every machine. Another text is drawn in the
    first font that has all of it: one of Latin, Greek and Cyrillic, which comes with xmir, then
    those of the machine; where none has, in parts. What is in no font is drawn as its code point.
    """

    size: int  # pixels

    def getlength(self, text: str) -> float:
        """How wide a text is, in pixels."""
        return sum(open_face(path, self.size).getlength(part) for path, part in spell(text))

    def getbbox(self, text: str) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of an ASCII text that is written at (0, 0)."""
        return open_face(None, self.size).getbbox(text)

    def write(
        self,
        draw: ImageDraw.ImageDraw,
        place: tuple[float, float],
        text: str,
        ink: Ink | str,
        anchor: str = "la",
    ) -> None:
        """Draw a text at a place, which is its upper left corner, or what Pillow's `anchor` names.

        Whatever the fonts, texts of one size at one height have one base line.
        """
        parts = spell(text)
        (left, top), across, down = place, anchor[0], anchor[1]
        if len(parts) > 1:
            left -= _SHARES[across] * self.getlength(text)
            across = "l"
        if down == "a":
            down, top = "s", top + open_face(None, self.size).getmetrics()[0]
        for path, part in parts:
            face = open_face(path, self.size)
            turn = direction_of(face, part)
            draw.text((left, top), part, ink, face, across + down, direction=turn)
            left += face.getlength(part)


@cache
def font(size: int) -> Font:
    """Letters of `size` pixels."""
    return Font(size)


def shorten(text: str, face: Font, width: float) -> str:
    """`text`, its middle left out where it would be wider than `width` pixels."""
    if face.getlength(text) <= width:
        return text

    def keep(count: int) -> str:
        head = (count + 1) // 2
        return f"{text[:head]}…{text[len(text) - (count - head) :]}"

    counts = range(2, len(text))
    fitting = bisect_right(counts, width, key=lambda count: face.getlength(keep(count)))
    return keep(counts[fitting - 1]) if fitting else "…"


def drawable(text: str) -> str:
    """`text` as it is drawn: with the code point of each character that the fonts lack."""
    return "".join(part for _, part in spell(text))
