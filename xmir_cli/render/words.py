"""Words as a picture, where the picture of a query would stand."""

from bisect import bisect_right

from PIL import Image, ImageDraw

from xmir_cli.render.lettering import Font, drawable, font, shorten

_PAPER, _INK = (250, 250, 250), (30, 30, 30)
_MARGIN = 0.08  # of the side
_LINE = 1.35  # line height over font size
_SMALLEST = 9  # pixels, height of letters
_SEPARATORS = "-_/.,;"  # behind which a long word may be broken
LIMIT = 600  # characters that are drawn
USE = "For research use only, not for diagnosis"  # written on every picture of patients


def draw_words(text: str, side: int) -> Image.Image:
    """The text in lines on a square of `side` pixels, in smaller letters where it is long.

    What does not fit in the smallest is left out, marked so; see `fits`. It is drawn as it is:
    whoever calls has made it harmless.
    """
    margin = round(_MARGIN * side)
    size = next((size for size in _sizes(side) if _fits(text, side, size)), _sizes(side)[-1])
    face, width, height = font(size), side - 2 * margin, round(size * _LINE)
    lines = wrap(text[:LIMIT], face, width)
    room = _room(side, size)
    if len(lines) > room or len(text) > LIMIT:
        lines = [*lines[: room - 1], shorten(f"{lines[min(room, len(lines)) - 1]} …", face, width)]
    page = Image.new("RGB", (side, side), _PAPER)
    draw = ImageDraw.Draw(page)
    top = (side - len(lines) * height) // 2
    for number, line in enumerate(lines):
        face.write(draw, (margin, top + number * height), line, _INK)
    return page


def fits(text: str, side: int) -> bool:
    """Whether the whole text is on the square that `draw_words` draws."""
    return any(_fits(text, side, size) for size in _sizes(side))


def wrap(text: str, face: Font, width: float) -> list[str]:
    """The text in lines no wider than `width` pixels, broken at spaces, long words within."""
    lines: list[str] = []
    for word in drawable(text).split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and face.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines += _pieces(word, face, width)
    return lines or [""]


def _sizes(side: int) -> list[int]:
    """Heights of letters that are tried, the largest first."""
    largest = max(12, side // 12)
    return list(range(largest, max(_SMALLEST, largest // 2) - 1, -1))


def _fits(text: str, side: int, size: int) -> bool:
    face, width = font(size), side - 2 * round(_MARGIN * side)
    return len(text) <= LIMIT and len(wrap(text, face, width)) <= _room(side, size)


def _room(side: int, size: int) -> int:
    """How many lines there are."""
    return max(1, (side - 2 * round(_MARGIN * side)) // round(size * _LINE))


def _pieces(word: str, face: Font, width: float) -> list[str]:
    """A word in parts that fit, ended at a separator where one is near; never no character."""
    found, most = [], int(width)  # characters of a line: no letter is narrower than a pixel
    while len(word) > 1 and (len(word) > most or face.getlength(word) > width):
        counts = range(1, min(len(word), most) + 1)
        end = bisect_right(counts, width, key=lambda n: face.getlength(word[:n]))
        soft = max(word.rfind(mark, end // 2, end) for mark in _SEPARATORS) + 1
        whole = soft and face.getlength(word[:soft]) <= width  # another font may be wider
        cut = soft if whole else max(1, end)
        found.append(word[:cut])
        word = word[cut:]
    return [*found, word]
