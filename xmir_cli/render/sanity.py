"""The model-randomisation check as a picture: agreement over how far the weights are random."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import ceil

from PIL import Image, ImageDraw

from xmir_cli.render.lettering import font, shorten

# Okabe and Ito's palette: told apart also by colour-blind readers
PALETTE = (
    (0, 114, 178),
    (213, 94, 0),
    (0, 158, 115),
    (204, 121, 167),
    (230, 159, 0),
    (86, 180, 233),
    (0, 0, 0),
)
_LEFT, _TOP, _HEIGHT, _BOTTOM, _LEGEND = 56, 48, 320, 130, 200  # pixels
_COLUMN = 48  # pixels a stage
_TITLE = "rank correlation with the trained network's map"
_TITLE_SIZE, _MARGIN = 14, 16  # pixels
_LOW = -0.25  # the agreement at the bottom; 1 at the top
_SCALE = 4  # drawn larger, then reduced: smooth lines
_TEXT, _GRID, _LIMIT = (40, 40, 40), (222, 222, 222), (150, 150, 150)


def draw_sanity(
    stages: Sequence[str], curves: Mapping[str, Sequence[float | None]], threshold: float
) -> Image.Image:
    """Each method's mean rank correlation with its own maps of the trained network, by stage.

    None leaves a gap; values below -0.25 are drawn at the bottom.
    """
    width = _LEFT + _COLUMN * (len(stages) - 1) + _LEGEND
    width = max(width, _LEFT + ceil(font(_TITLE_SIZE).getlength(_TITLE)) + _MARGIN)
    size = (width, _TOP + _HEIGHT + _BOTTOM)
    large = Image.new("RGB", (size[0] * _SCALE, size[1] * _SCALE), "white")
    draw = ImageDraw.Draw(large)
    last = len(stages) - 1
    for tick in (-0.25, 0.0, 0.25, 0.5, 0.75, 1.0):
        draw.line([_place(0, tick), _place(last, tick)], _GRID, _SCALE)
    draw.line([_place(0, threshold), _place(last, threshold)], _LIMIT, 2 * _SCALE)
    for values, color in zip(curves.values(), _colors(len(curves)), strict=True):
        _draw_curve(draw, values, color)
    picture = large.resize(size, Image.Resampling.LANCZOS)
    _write(picture, stages, list(curves), threshold)
    return picture


def _colors(count: int) -> list[tuple[int, int, int]]:
    return [PALETTE[index % len(PALETTE)] for index in range(count)]


def _place(position: float, value: float) -> tuple[float, float]:
    """The pixel, in the larger drawing, of a stage and an agreement."""
    height = (1 - (max(value, _LOW) - _LOW) / (1 - _LOW)) * _HEIGHT
    return (_LEFT + position * _COLUMN) * _SCALE, (_TOP + height) * _SCALE


def _draw_curve(
    draw: ImageDraw.ImageDraw, values: Sequence[float | None], color: tuple[int, int, int]
) -> None:
    points = [None if value is None else _place(at, value) for at, value in enumerate(values)]
    for start, end in pairwise(points):
        if start is not None and end is not None:
            draw.line([start, end], color, 2 * _SCALE)
    for point in points:
        if point is not None:
            draw.circle(point, 3 * _SCALE, color)


def _write(
    picture: Image.Image, stages: Sequence[str], methods: Sequence[str], threshold: float
) -> None:
    draw, face, small = ImageDraw.Draw(picture), font(14), font(11)
    font(_TITLE_SIZE).write(draw, (_LEFT, 12), _TITLE, _TEXT)
    for tick in (-0.25, 0.0, 0.25, 0.5, 0.75, 1.0):
        y = _place(0, tick)[1] / _SCALE
        small.write(draw, (_LEFT - 8, y), f"{tick:g}", _TEXT, "rm")
    right = _LEFT + (len(stages) - 1) * _COLUMN + 20
    y = _place(0, threshold)[1] / _SCALE
    small.write(draw, (right, y), f"threshold {threshold:g}", _LIMIT, "lm")
    for row, (method, color) in enumerate(zip(methods, _colors(len(methods)), strict=True)):
        face.write(draw, (right, _TOP + 20 * row), shorten(method, face, _LEGEND - 30), color)
    for position, stage in enumerate(stages):
        x = _place(position, 0)[0] / _SCALE
        _write_upright(picture, (x, _TOP + _HEIGHT + 8), shorten(stage, small, _BOTTOM - 16))


def _write_upright(picture: Image.Image, top: tuple[float, float], text: str) -> None:
    """The text turned by 90 degrees, its end at the top."""
    label = Image.new("RGB", (_BOTTOM - 12, 16), "white")
    font(11).write(ImageDraw.Draw(label), (_BOTTOM - 13, 8), text, _TEXT, "rm")
    turned = label.rotate(90, expand=True)
    picture.paste(turned, (round(top[0]) - 8, round(top[1])))
