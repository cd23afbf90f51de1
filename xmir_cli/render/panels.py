"""A figure of titled rows of equal pictures, each line with the colour bar of its row."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from xmir_cli.render.colormap import is_diverging
from xmir_cli.render.lettering import Ink, font, shorten
from xmir_cli.render.overlay import Display, tint
from xmir_cli.render.words import USE, wrap

SIDE = 288  # pixels of a picture
_GAP = 16
_TEXT, _TITLE = 15, 18  # pixels, height of letters
_LINE, _HEAD = 22, 30  # pixels, a line of text under a picture, and of a title
_MARK = 20  # pixels, a coloured square with the gap to its words
_LINES = 6  # that words under a picture have at most
_BAR, _SCALE = 14, 92  # pixels, width of a colour bar, and of one with its numbers
_GREY = 110  # of the ground that the colours of a bar lie on, as they do on a picture
_INK, _PAPER = (30, 30, 30), (255, 255, 255)


@dataclass(frozen=True)
class Panel:
    """A picture and the words under it, which a square of a colour may stand before."""

    picture: Image.Image
    words: Sequence[tuple[Ink | None, str]]


@dataclass(frozen=True)
class PanelRow:
    """Panels that share a title and, when they show numbers, their colours and limits."""

    title: str
    panels: Sequence[Panel]
    display: Display | None = None  # of a named colormap; no bar without
    largest: float = 1.0  # what full colour stands for


def figure(rows: Sequence[PanelRow], columns: int) -> Image.Image:
    """All rows on white paper, `columns` panels wide, and what it is for; long rows go on below."""
    width = _GAP + columns * (SIDE + _GAP) + _SCALE
    strips = [_draw_row(row, columns, width) for row in rows]
    height = _GAP + sum(strip.height for strip in strips) + _LINE + _GAP
    page = Image.new("RGB", (width, height), _PAPER)
    top = _GAP
    for strip in strips:
        page.paste(strip, (0, top))
        top += strip.height
    font(_TEXT).write(ImageDraw.Draw(page), (_GAP, top), USE, _INK)
    return page


def _draw_row(row: PanelRow, columns: int, width: int) -> Image.Image:
    title = wrap(row.title, font(_TITLE), width - 2 * _GAP)
    lines = [row.panels[at : at + columns] for at in range(0, len(row.panels), columns)]
    written = [[_wrapped(panel.words) for panel in line] for line in lines]
    heights = [SIDE + 8 + _LINE * max(map(len, words)) + _GAP for words in written]
    strip = Image.new("RGB", (width, _HEAD * len(title) + sum(heights)), _PAPER)
    draw, top = ImageDraw.Draw(strip), 0
    for heading in title:
        font(_TITLE).write(draw, (_GAP, top), heading, _INK)
        top += _HEAD
    for line, words, height in zip(lines, written, heights, strict=True):
        for column, (panel, text) in enumerate(zip(line, words, strict=True)):
            left = _GAP + column * (SIDE + _GAP)
            strip.paste(panel.picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS), (left, top))
            _write(draw, text, (left, top + SIDE + 6))
        if row.display is not None:
            _draw_bar(strip, row.display, row.largest, (_GAP + columns * (SIDE + _GAP), top))
        top += height
    return strip


def _wrapped(words: Sequence[tuple[Ink | None, str]]) -> list[tuple[Ink | None, int, str]]:
    """Lines with the square before them, if any, and how far from the left they begin."""
    face, found = font(_TEXT), list[tuple[Ink | None, int, str]]()
    for color, text in words:
        left = 0 if color is None else _MARK
        lines = wrap(text, face, SIDE - left)
        if len(lines) > _LINES:
            rest = " ".join(lines[_LINES - 1 :])
            lines = [*lines[: _LINES - 1], shorten(rest, face, SIDE - left)]
        found += [(None if place else color, left, line) for place, line in enumerate(lines)]
    return found


def _write(
    draw: ImageDraw.ImageDraw,
    lines: Sequence[tuple[Ink | None, int, str]],
    place: tuple[int, int],
) -> None:
    left, top = place
    for color, begin, text in lines:
        if color is not None:
            draw.rectangle((left, top + 3, left + 12, top + 15), color)
        font(_TEXT).write(draw, (left + begin, top), text, _INK)
        top += _LINE


def _draw_bar(strip: Image.Image, display: Display, largest: float, place: tuple[int, int]) -> None:
    """The colours from the lowest value (bottom) to the largest, with its numbers."""
    left, top = place
    low = -1.0 if is_diverging(display.colormap) else 0.0
    values = np.repeat(np.linspace(1, low, SIDE)[:, None], _BAR, axis=1)
    ground = np.full((SIDE, _BAR, 3), float(_GREY))
    strip.paste(Image.fromarray(tint(ground, values, display)), (left, top))
    draw = ImageDraw.Draw(strip)
    for share, value in ((0.0, 1.0), (0.5, (1 + low) / 2), (1.0, low)):
        text = f"{value * largest:.3g}" if value else "0"
        where = (left + _BAR + 5, top + share * (SIDE - _TEXT) - 2)
        font(_TEXT).write(draw, where, text, _INK)
