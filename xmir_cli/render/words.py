"""Words as a picture, where the picture of a query would stand."""

from PIL import Image, ImageDraw

from xmir_cli.render.lettering import Font, font, shorten

_PAPER, _INK = (250, 250, 250), (30, 30, 30)
_MARGIN = 0.08  # of the side
_LINE = 1.35  # line height over font size
LIMIT = 600  # characters that are drawn


def draw_words(text: str, side: int) -> Image.Image:
    """The text in lines on a square of `side` pixels; what does not fit is left out, marked so.

    It is drawn as it is: whoever calls has made it harmless.
    """
    size = max(12, side // 12)
    face, margin = font(size), round(_MARGIN * side)
    width, height = side - 2 * margin, round(size * _LINE)
    lines = wrap(text[:LIMIT], face, width)
    room = max(1, (side - 2 * margin) // height)
    if len(lines) > room or len(text) > LIMIT:
        lines = [*lines[: room - 1], shorten(f"{lines[min(room, len(lines)) - 1]} …", face, width)]
    page = Image.new("RGB", (side, side), _PAPER)
    draw = ImageDraw.Draw(page)
    top = (side - len(lines) * height) // 2
    for number, line in enumerate(lines):
        draw.text((margin, top + number * height), line, _INK, face)
    return page


def wrap(text: str, face: Font, width: float) -> list[str]:
    """The text in lines no wider than `width` pixels, broken at spaces; long words shortened."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and face.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(shorten(word, face, width))
    return lines or [""]
