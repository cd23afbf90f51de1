"""What stands under a page: the colour bars with their units, and what frames and marks mean."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from xmir_cli.render.colormap import is_diverging
from xmir_cli.render.lettering import Ink, font
from xmir_cli.render.montage import GAP, INK, LINE, PAPER, ColorBar
from xmir_cli.render.overlay import Display, tint
from xmir_cli.render.words import USE, wrap

_BAR = 380  # pixels, about the width of a bar
_GREY = 110  # of the ground that the colours of a bar lie on, as they do on a picture
_DARK = (60, 60, 60)  # of the ground that a line lies on, as it does on a picture


class LegendItem(NamedTuple):
    """What a colour means, or what is drawn in it, or words alone."""

    words: str
    color: Ink | str | None = None
    shape: Literal["square", "frame", "ring"] = "square"


def draw_bars(bars: Sequence[ColorBar], width: int, size: int, display: Display) -> Image.Image:
    """Colour bars side by side, in as many lines as it takes, on a strip of the page's width."""
    columns = max(1, min(len(bars), (width - GAP) // _BAR))
    each = min((width - GAP) // columns - GAP, 2 * _BAR)
    titles = [wrap(bar.name, font(size), each) for bar in bars]
    tops, top = [], GAP // 2
    for start in range(0, len(bars), columns):
        lines = max(map(len, titles[start : start + columns]))
        tops += [top] * len(bars[start : start + columns])
        words = any(each for bar in bars[start : start + columns] for each in bar.ends)
        top += round((lines + 2.5 + words) * size * LINE)
    strip = Image.new("RGB", (width, top), PAPER)
    for index, bar in enumerate(bars):
        place = (GAP + index % columns * (each + GAP), tops[index])
        _draw_bar(strip, bar, titles[index], (place, each, size), display)
    return strip


def draw_legend(items: Sequence[LegendItem], width: int, size: int) -> Image.Image:
    """Coloured squares and lines with what they mean, plain words, and what a page is for."""
    face, height = font(size), round(size * LINE)
    placed: list[tuple[float, int, LegendItem]] = []
    x, line = float(GAP), 0
    for item in [*items, LegendItem(USE)]:
        mark = 0 if item.color is None else height
        for number, part in enumerate(wrap(item.words, face, width - 2 * GAP - mark)):
            own = LegendItem(part) if number else item._replace(words=part)
            wide = (0 if own.color is None else mark) + face.getlength(part) + 2 * size
            if x > GAP and x + wide - 2 * size > width - GAP:
                x, line = float(GAP), line + 1
            placed.append((x, line, own))
            x += wide
    strip = Image.new("RGB", (width, (line + 1) * height + GAP), PAPER)
    draw = ImageDraw.Draw(strip)
    for x, line, item in placed:
        y = line * height
        if item.color is not None:
            _draw_mark(draw, (x, y + size * 0.2), size, item)
            x += height
        face.write(draw, (x, y), item.words, INK)
    return strip


def _draw_mark(
    draw: ImageDraw.ImageDraw, place: tuple[float, float], size: int, item: LegendItem
) -> None:
    (x, y), inside = place, size / 5
    is_square = item.shape == "square"
    draw.rectangle((x, y, x + size, y + size), fill=item.color if is_square else _DARK)
    if not is_square:
        box = (x + inside, y + inside, x + size - inside, y + size - inside)
        pen = draw.ellipse if item.shape == "ring" else draw.rectangle
        pen(box, outline=item.color, width=max(1, size // 8))


def _draw_bar(
    strip: Image.Image,
    bar: ColorBar,
    title: Sequence[str],
    where: tuple[tuple[int, int], int, int],
    display: Display,
) -> None:
    (left, top), width, size = where
    face, height = font(size), round(size * LINE)
    low = -1.0 if is_diverging(bar.colormap) else 0.0
    values = np.linspace(low, 1, width)[None].repeat(size, axis=0)
    ground = np.full((size, width, 3), float(_GREY))
    drawn = tint(ground, values, Display(bar.colormap, display.alpha, display.start))
    draw = ImageDraw.Draw(strip)
    for number, line in enumerate(title):
        face.write(draw, (left, top + number * height), line, INK)
    top += len(title) * height
    strip.paste(Image.fromarray(drawn), (left, top + size // 6))
    below = top + round(1.15 * height)
    zero = (left + width / 2, "ma") if low else (left, "la")
    face.write(draw, (zero[0], below), "0", INK, zero[1])
    for place, value, words in ((left, low, bar.ends[0]), (left + width, 1.0, bar.ends[1])):
        if value:
            anchor = "la" if value < 0 else "ra"
            beyond = (" or less" if value < 0 else " or more") if bar.beyond else ""
            text = f"{value * bar.largest:.3g}{beyond}"
            face.write(draw, (place, below), text, INK, anchor)
            face.write(draw, (place, below + height), words, INK, anchor)
