"""What stands beside the plane: colours, marks and pictures, from top to bottom."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from xmir_cli.atlas.coloring import COLORS, GREYS, SCALE, Coloring
from xmir_cli.atlas.marks import Rgb, draw_cross, draw_ring, draw_square, draw_star
from xmir_cli.console import escape
from xmir_cli.render.colormap import colors
from xmir_cli.render.lettering import drawable, font, shorten
from xmir_cli.render.montage import INK, PAPER

LINE = 27  # pixels
_LETTERS, _COLUMNS, _BETWEEN = 18, 3, 14
_FINE = 4  # pixels of a mark drawn for each, so that its edges are smooth
_MARK = 22  # pixels of a mark's place
_SOFT = (95, 100, 108)
_Step = Callable[[Image.Image, ImageDraw.ImageDraw], None]
_Mark = Callable[[ImageDraw.ImageDraw, Sequence[float], float], None]  # place, scale


class PictureTile(NamedTuple):
    """A small picture, what it is called, what is told of it, and the colour of its class."""

    picture: Image.Image
    name: str
    told: str
    color: Rgb | None = None


class SidePanel:
    """Lines and pictures that are drawn once the height of all of them is known."""

    def __init__(self, width: int) -> None:
        self.width, self.height = width, 0
        self._steps: list[_Step] = []

    def draw(self) -> Image.Image:
        """All of it."""
        drawn = Image.new("RGB", (self.width, max(1, self.height)), PAPER)
        pen = ImageDraw.Draw(drawn)
        for step in self._steps:
            step(drawn, pen)
        return drawn

    def legend(self, coloring: Coloring) -> None:
        """What the colours mean."""
        self._head(coloring.column)
        if coloring.numbers is not None:
            self._bar(coloring)
        for (text, count), color in zip(coloring.colored, COLORS["light"], strict=False):
            self._mark(_dot(color), text, count)
        rare, missing = GREYS["light"]
        if coloring.rare:
            others = sum(count for _, count in coloring.rare)
            self._mark(_dot(rare), f"{len(coloring.rare)} others", others)
        if coloring.missing:
            self._mark(_dot(missing), "without one", coloring.missing)
        self.height += LINE // 2

    def marks(self, stars: int, outliers: int, duplicates: int) -> None:
        """What stars, crosses, rings and squares mean, and how many there are."""
        self._head("Marks")
        if stars:
            self._mark(
                lambda pen, at, size: draw_star(pen, at, 8 * size, PAPER, 0.8 * size),
                "nearest to the mean of its label",
                stars,
            )
            self._mark(
                lambda pen, at, size: draw_cross(pen, at, 7 * size, PAPER, 0.8 * size),
                "mean of its label",
                stars,
            )
        self._mark(
            lambda pen, at, size: draw_ring(pen, at, 8 * size, size),
            "lies apart from others",
            outliers,
        )
        self._mark(
            lambda pen, at, size: draw_square(pen, at, 7 * size, size),
            "is there more than once",
            duplicates,
        )
        self.height += LINE // 2

    def pictures(self, title: str, tiles: Sequence[PictureTile]) -> None:
        """Pictures in rows, with two lines of text below each."""
        if not tiles:
            return
        self._head(title)
        for start in range(0, len(tiles), _COLUMNS):
            row = tiles[start : start + _COLUMNS]
            for column, tile in enumerate(row):
                place = (column * (tile.picture.width + _BETWEEN), self.height)
                self._steps.append(_tile_step(tile, place))
            self.height += row[0].picture.height + 54

    def _head(self, text: str) -> None:
        y, face = self.height, font(_LETTERS + 2)
        words = shorten(drawable(escape(text)), face, self.width)
        self._steps.append(lambda _, pen: face.write(pen, (0, y), words, INK))
        self.height += LINE + 8

    def _mark(self, mark: _Mark, text: str, count: int) -> None:
        y, face, number = self.height, font(_LETTERS), f"{count:,}".replace(",", " ")
        room = self.width - 2 * _MARK - face.getlength(number)
        words = shorten(drawable(escape(text)), face, room)

        def step(drawn: Image.Image, pen: ImageDraw.ImageDraw) -> None:
            tile = Image.new("RGB", (_MARK * _FINE, _MARK * _FINE), PAPER)
            mark(ImageDraw.Draw(tile), (_MARK * _FINE / 2, _MARK * _FINE / 2), _FINE)
            drawn.paste(tile.resize((_MARK, _MARK), Image.Resampling.BOX), (0, y))
            face.write(pen, (_MARK + 6, y), words, INK)
            face.write(pen, (self.width - 4, y), number, _SOFT, "ra")

        self._steps.append(step)
        self.height += LINE

    def _bar(self, coloring: Coloring) -> None:
        y, face, width = self.height, font(_LETTERS), self.width - 4
        line = colors(np.linspace(*SCALE["light"], width), "viridis")
        bar = Image.fromarray(np.repeat(line[None], _LETTERS, axis=0))
        low, high = coloring.end_texts

        def step(drawn: Image.Image, pen: ImageDraw.ImageDraw) -> None:
            drawn.paste(bar, (0, y))
            face.write(pen, (0, y + _LETTERS + 4), low, INK)
            face.write(pen, (width, y + _LETTERS + 4), high, INK, "ra")

        self._steps.append(step)
        self.height += _LETTERS + 4 + LINE


def _dot(color: str) -> _Mark:
    def mark(pen: ImageDraw.ImageDraw, at: Sequence[float], size: float) -> None:
        radius = 7 * size
        pen.ellipse((at[0] - radius, at[1] - radius, at[0] + radius, at[1] + radius), color)

    return mark


def _tile_step(tile: PictureTile, place: tuple[int, int]) -> _Step:
    (x, y), (side, height) = place, tile.picture.size
    face = font(_LETTERS - 3)

    def step(drawn: Image.Image, pen: ImageDraw.ImageDraw) -> None:
        drawn.paste(tile.picture.convert("RGB"), (x, y))
        if tile.color is not None:
            pen.rectangle((x, y + height, x + side - 1, y + height + 4), tile.color)
        for number, (text, color) in enumerate(((tile.name, INK), (tile.told, _SOFT))):
            words = shorten(drawable(escape(text)), face, side)
            face.write(pen, (x, y + height + 8 + number * 20), words, color)

    return step
