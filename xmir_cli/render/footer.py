"""What stands under a page: the colour bars with their units, and what frames and marks mean."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from xmir_cli.render.colormap import is_diverging
from xmir_cli.render.lettering import font
from xmir_cli.render.montage import GAP, INK, LINE, PAPER, ColorBar
from xmir_cli.render.overlay import Display, tint
from xmir_cli.render.words import wrap

_BAR = 380  # pixels, about the width of a bar
_GREY = 110  # of the ground that the colours of a bar lie on, as they do on a picture


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


def draw_legend(
    items: Sequence[tuple[tuple[int, int, int] | None, str]], width: int, size: int
) -> Image.Image:
    """Coloured squares with what they mean, and plain words where there is no colour."""
    face, height = font(size), round(size * LINE)
    placed: list[tuple[float, int, tuple[int, int, int] | None, str]] = []
    x, line = float(GAP), 0
    for color, words in items:
        mark = 0 if color is None else height
        for number, part in enumerate(wrap(words, face, width - 2 * GAP - mark)):
            own = None if number else color
            wide = (0 if own is None else mark) + face.getlength(part) + 2 * size
            if x > GAP and x + wide - 2 * size > width - GAP:
                x, line = float(GAP), line + 1
            placed.append((x, line, own, part))
            x += wide
    strip = Image.new("RGB", (width, (line + 1) * height + GAP), PAPER)
    draw = ImageDraw.Draw(strip)
    for x, line, color, words in placed:
        y = line * height
        if color is not None:
            draw.rectangle((x, y + size * 0.2, x + size, y + size * 1.2), fill=color)
            x += height
        face.write(draw, (x, y), words, INK)
    return strip


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
