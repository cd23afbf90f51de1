"""A drawing of lines, dots and words, which becomes a PNG or an SVG picture."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

from PIL import Image, ImageDraw

from xmir_cli.render.lettering import font

Color = tuple[int, int, int]
Point = tuple[float, float]  # of a drawing, in its units; down is positive

# Okabe and Ito's palette: told apart also by colour-blind readers
PALETTE: tuple[Color, ...] = (
    (0, 114, 178),
    (213, 94, 0),
    (0, 158, 115),
    (204, 121, 167),
    (230, 159, 0),
    (86, 180, 233),
    (0, 0, 0),
)
INK, GRID, LIMIT = (40, 40, 40), (222, 222, 222), (120, 120, 120)


_ZOOM = 2  # pixels a unit in a PNG: sharp on paper and on dense screens
_FINE = 2  # drawn so much larger still, then reduced: smooth lines
_ANCHORS = {"left": "l", "middle": "m", "right": "r"}
_SVG_ANCHORS = {"left": "start", "middle": "middle", "right": "end"}


@dataclass(frozen=True)
class _Line:
    points: Sequence[Point]
    color: Color
    width: float
    dashes: tuple[float, float] | None  # units drawn, units left out


@dataclass(frozen=True)
class _Dot:
    place: Point
    radius: float
    color: Color


@dataclass(frozen=True)
class _Words:
    place: Point
    text: str
    size: int
    color: Color
    anchor: Literal["left", "middle", "right"]
    upright: bool


class Drawing:
    """Shapes on white paper of `width` x `height` units, one over the other as they come."""

    def __init__(self, width: int, height: int, title: str) -> None:
        """`title` is what a reader hears who does not see the picture."""
        self.width, self.height, self.title = width, height, title
        self._strokes: list[_Line | _Dot] = []
        self._words: list[_Words] = []

    def line(
        self,
        points: Sequence[Point],
        color: Color,
        width: float = 1,
        dashes: tuple[float, float] | None = None,
    ) -> None:
        """A line through all points; with dashes it has two."""
        self._strokes.append(_Line(points, color, width, dashes))

    def dot(self, place: Point, radius: float, color: Color) -> None:
        """A filled circle."""
        self._strokes.append(_Dot(place, radius, color))

    def words(  # noqa: PLR0913 # as a text has them
        self,
        place: Point,
        text: str,
        size: int,
        color: Color = INK,
        anchor: Literal["left", "middle", "right"] = "left",
        upright: bool = False,
    ) -> None:
        """Text whose middle line is at `place`; `upright` it is read from below and ends there."""
        self._words.append(_Words(place, text, size, color, anchor, upright))

    def encode(self, ending: str) -> bytes:
        """The file of a name that ends in .png or .svg."""
        if ending == ".svg":
            return self._svg().encode()
        file = io.BytesIO()
        self.picture().save(file, format="png")
        return file.getvalue()

    def picture(self) -> Image.Image:
        """Two pixels a unit."""
        size = (self.width * _ZOOM, self.height * _ZOOM)
        large = Image.new("RGB", (size[0] * _FINE, size[1] * _FINE), "white")
        draw = ImageDraw.Draw(large)
        for each in self._strokes:
            _paint(draw, each)
        picture = large.reduce(_FINE)
        for words in self._words:
            _write(picture, words)
        return picture

    def _svg(self) -> str:
        size = f'width="{self.width}" height="{self.height}"'
        body = "\n".join([*map(_stroke_tag, self._strokes), *map(_words_tag, self._words)])
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} '
            f'viewBox="0 0 {self.width} {self.height}" role="img">\n'
            f"<title>{escape(self.title)}</title>\n"
            f'<rect {size} fill="white"/>\n'
            f'<g fill="none" stroke-linejoin="round" font-family="Helvetica, Arial, sans-serif">\n'
            f"{body}\n</g>\n</svg>\n"
        )


def _paint(draw: ImageDraw.ImageDraw, shape: _Line | _Dot) -> None:
    scale = _ZOOM * _FINE
    if isinstance(shape, _Dot):
        x, y = shape.place
        draw.circle((x * scale, y * scale), shape.radius * scale, shape.color)
        return
    width = max(1, round(shape.width * scale))
    for part in _dashed(shape):
        draw.line([(x * scale, y * scale) for x, y in part], shape.color, width, joint="curve")


def _dashed(line: _Line) -> list[Sequence[Point]]:
    """The line, or its dashes."""
    if line.dashes is None:
        return [line.points]
    (left, top), (right, bottom) = line.points
    length = ((right - left) ** 2 + (bottom - top) ** 2) ** 0.5
    drawn, period = line.dashes[0], sum(line.dashes)

    def at(distance: float) -> Point:
        share = min(distance / length, 1.0)
        return left + (right - left) * share, top + (bottom - top) * share

    starts = [number * period for number in range(int(length / period) + 1)] if length else []
    return [(at(start), at(start + drawn)) for start in starts]


def _write(picture: Image.Image, words: _Words) -> None:
    face = font(words.size * _ZOOM)
    x, y = words.place[0] * _ZOOM, words.place[1] * _ZOOM
    if not words.upright:
        anchor = f"{_ANCHORS[words.anchor]}m"
        face.write(ImageDraw.Draw(picture), (x, y), words.text, words.color, anchor)
        return
    length, height = round(face.getlength(words.text)) + 4, round(words.size * _ZOOM * 1.5)
    label = Image.new("RGB", (length, height))
    face.write(ImageDraw.Draw(label), (length - 2, height // 2), words.text, "white", "rm")
    mask = label.convert("L").rotate(90, expand=True)
    picture.paste(words.color, (round(x) - height // 2, round(y)), mask)


def _stroke_tag(shape: _Line | _Dot) -> str:
    if isinstance(shape, _Dot):
        x, y = shape.place
        return (
            f'<circle cx="{x:.2f}" cy="{y:.2f}" r="{shape.radius:g}" fill="{_hex(shape.color)}"/>'
        )
    points = " ".join(f"{x:.2f},{y:.2f}" for x, y in shape.points)
    dashes = f' stroke-dasharray="{shape.dashes[0]:g} {shape.dashes[1]:g}"' if shape.dashes else ""
    return (
        f'<polyline points="{points}" stroke="{_hex(shape.color)}" '
        f'stroke-width="{shape.width:g}"{dashes}/>'
    )


def _words_tag(words: _Words) -> str:
    x, y = words.place
    anchor = "end" if words.upright else _SVG_ANCHORS[words.anchor]
    length = font(words.size).getlength(words.text)  # the same in whatever font there is
    turned = f' transform="rotate(-90 {x:.2f} {y:.2f})"' if words.upright else ""
    return (
        f'<text x="{x:.2f}" y="{y:.2f}" dy="0.35em" font-size="{words.size}" '
        f'fill="{_hex(words.color)}" text-anchor="{anchor}" textLength="{length:.1f}" '
        f'lengthAdjust="spacingAndGlyphs"{turned}>{escape(words.text)}</text>'
    )


def _hex(color: Color) -> str:
    return "#" + bytes(color).hex()
