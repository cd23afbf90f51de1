"""A page of queries and what was retrieved for them, one query a row, as the paper's figure 4."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from xmir_cli.render.colormap import colors, is_diverging
from xmir_cli.render.lettering import font, shorten

# of Okabe and Ito's palette: told apart also by colour-blind readers, and the captions say it too
QUERY, CORRECT, WRONG, UNKNOWN = (0, 114, 178), (0, 158, 115), (213, 94, 0), (150, 150, 150)
_PAPER, _INK = (255, 255, 255), (30, 30, 30)
_BORDER = 5  # pixels of the coloured frame
_GAP = 10  # pixels between cells
_LINE = 1.35  # line height over font size


@dataclass(frozen=True)
class Tile:
    """A picture in a coloured frame with lines of text below; no picture, an empty place."""

    picture: Image.Image | None
    frame: tuple[int, int, int]
    lines: tuple[str, ...]


@dataclass(frozen=True)
class ColorBar:
    """What the colours of one method stand for."""

    name: str
    colormap: str
    largest: float  # the value of full colour


def montage(
    rows: Sequence[Sequence[Tile]], header: Sequence[str], bars: Sequence[ColorBar], side: int
) -> Image.Image:
    """One page: `header` over the columns, `rows` of cells `side` pixels wide, then the bars."""
    size = max(11, side // 16)
    columns = max(len(row) for row in rows)
    lines = max(len(cell.lines) for row in rows for cell in row)
    cell_height = side + 2 * _BORDER + round(lines * size * _LINE) + _GAP
    cell_width = side + 2 * _BORDER + _GAP
    top = _GAP + (round(size * _LINE) + _GAP if any(header) else 0)
    bar_height = round(4 * size * _LINE) if bars else 0
    page = Image.new(
        "RGB",
        (_GAP + columns * cell_width, top + len(rows) * cell_height + bar_height + _GAP),
        _PAPER,
    )
    draw = ImageDraw.Draw(page)
    face = font(size)
    for column, title in enumerate(header):
        middle = _GAP + column * cell_width + (cell_width - _GAP) / 2
        draw.text((middle, _GAP), shorten(title, face, cell_width), _INK, face, anchor="ma")
    for index, row in enumerate(rows):
        for column, cell in enumerate(row):
            place = (_GAP + column * cell_width, top + index * cell_height)
            _draw_cell(page, place, cell, side, size)
    if bars:
        _draw_bars(page, bars, top + len(rows) * cell_height, size)
    return page


def fit_picture(picture: Image.Image, side: int) -> Image.Image:
    """The picture within `side` x `side` pixels at its own aspect, on black."""
    scale = side / max(picture.size)
    small = picture.resize(
        (max(1, round(picture.width * scale)), max(1, round(picture.height * scale))),
        Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC,
    )
    square = Image.new("RGB", (side, side))
    square.paste(small, ((side - small.width) // 2, (side - small.height) // 2))
    return square


def _draw_cell(page: Image.Image, place: tuple[int, int], cell: Tile, side: int, size: int) -> None:
    if cell.picture is None:
        return
    left, top = place
    outer = side + 2 * _BORDER
    draw = ImageDraw.Draw(page)
    draw.rectangle((left, top, left + outer - 1, top + outer - 1), fill=cell.frame)
    page.paste(fit_picture(cell.picture, side), (left + _BORDER, top + _BORDER))
    face = font(size)
    for number, line in enumerate(cell.lines):
        y = top + outer + round((number + 0.1) * size * _LINE)
        draw.text((left, y), shorten(line, face, outer), _INK, face)


def _draw_bars(page: Image.Image, bars: Sequence[ColorBar], top: int, size: int) -> None:
    """Colour bars side by side, each with its name and the values at its ends."""
    face = font(size)
    width = (page.width - _GAP) // len(bars) - _GAP
    for index, bar in enumerate(bars):
        left = _GAP + index * (width + _GAP)
        low = -1.0 if is_diverging(bar.colormap) else 0.0
        strip = colors(np.linspace(low, 1, width)[None].repeat(size, axis=0), bar.colormap)
        draw = ImageDraw.Draw(page)
        draw.text((left, top), shorten(bar.name, face, width), _INK, face)
        page.paste(Image.fromarray(strip), (left, top + round(size * _LINE)))
        below = top + round(2.2 * size * _LINE)
        draw.text((left, below), f"{low * bar.largest:.3g}", _INK, face)
        draw.text((left + width, below), f"{bar.largest:.3g}", _INK, face, anchor="ra")
        if low < 0:
            draw.text((left + width / 2, below), "0", _INK, face, anchor="ma")
