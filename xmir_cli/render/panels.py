"""A figure of titled rows of equal pictures, each row with its own colour bar."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from xmir_cli.render.colormap import colors, is_diverging
from xmir_cli.render.lettering import font, shorten

SIDE = 288  # pixels of a picture
_GAP = 16
_TEXT = 15  # pixels, height of letters
_LINE = 24  # pixels, a line of text
_BAR = 14  # pixels, width of a colour bar
_SCALE = 84  # pixels, a colour bar with its numbers
_INK, _PAPER = (30, 30, 30), (255, 255, 255)


@dataclass(frozen=True)
class Panel:
    """A picture and the line under it."""

    caption: str
    picture: Image.Image


@dataclass(frozen=True)
class PanelRow:
    """Panels that share a title and, when they show numbers, their colours and limits."""

    title: str
    panels: Sequence[Panel]
    colormap: str = ""  # no bar when empty
    largest: float = 1.0  # what full colour stands for


def figure(rows: Sequence[PanelRow], columns: int) -> Image.Image:
    """All rows on white paper, `columns` panels wide; longer rows continue below."""
    width = _GAP + columns * (SIDE + _GAP) + _SCALE
    heights = [_height(row, columns) for row in rows]
    page = Image.new("RGB", (width, _GAP + sum(heights)), _PAPER)
    top = _GAP
    for row, height in zip(rows, heights, strict=True):
        _draw_row(page, row, columns, top)
        top += height
    return page


def _height(row: PanelRow, columns: int) -> int:
    lines = -(-len(row.panels) // columns)
    return _LINE + lines * (SIDE + _LINE) + _GAP


def _draw_row(page: Image.Image, row: PanelRow, columns: int, top: int) -> None:
    draw = ImageDraw.Draw(page)
    face = font(_TEXT)
    title = shorten(row.title, face, page.width - 2 * _GAP)
    face.write(draw, (_GAP, top), title, _INK)
    top += _LINE
    for index, panel in enumerate(row.panels):
        line, column = divmod(index, columns)
        left, above = _GAP + column * (SIDE + _GAP), top + line * (SIDE + _LINE)
        page.paste(panel.picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS), (left, above))
        caption = shorten(panel.caption, face, SIDE)
        place = (left + (SIDE - face.getlength(caption)) / 2, above + SIDE + 3)
        face.write(draw, place, caption, _INK)
    if row.colormap:
        _draw_bar(page, row, (_GAP + columns * (SIDE + _GAP), top))


def _draw_bar(page: Image.Image, row: PanelRow, place: tuple[int, int]) -> None:
    """The colours from the lowest value (bottom) to the largest, with its numbers."""
    left, top = place
    low = -1.0 if is_diverging(row.colormap) else 0.0
    values = np.repeat(np.linspace(1, low, SIDE)[:, None], _BAR, axis=1)
    page.paste(Image.fromarray(colors(values, row.colormap)), (left, top))
    draw = ImageDraw.Draw(page)
    draw.rectangle((left, top, left + _BAR - 1, top + SIDE - 1), outline=_INK)
    for share, value in ((0.0, 1.0), (0.5, (1 + low) / 2), (1.0, low)):
        text = f"{value * row.largest:.3g}" if value else "0"
        font(_TEXT).write(draw, (left + _BAR + 5, top + share * (SIDE - _TEXT) - 2), text, _INK)
