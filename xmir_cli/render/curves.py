"""Insertion and deletion curves as a picture."""

from collections.abc import Sequence

from PIL import Image, ImageDraw

from xmir_cli.render.lettering import font, shorten

_SIDE, _LEFT, _TOP, _RIGHT, _BOTTOM = 360, 52, 64, 20, 48  # pixels
_SCALE = 4  # drawn larger, then reduced: smooth lines
# of Okabe and Ito's palette: told apart also by colour-blind readers
INSERTION, DELETION = (0, 114, 178), (213, 94, 0)
_TEXT, _GRID = (40, 40, 40), (222, 222, 222)

DrawnCurve = tuple[Sequence[float], Sequence[float], float]  # fractions, similarities, area


def draw_curves(title: str, insertion: DrawnCurve, deletion: DrawnCurve) -> Image.Image:
    """Both curves over the fraction of pixels, each with its area; similarity from 0 to 1."""
    size = (_LEFT + _SIDE + _RIGHT, _TOP + _SIDE + _BOTTOM)
    large = Image.new("RGB", (size[0] * _SCALE, size[1] * _SCALE), "white")
    draw = ImageDraw.Draw(large)
    for tick in range(6):
        position = tick / 5
        draw.line([_place(position, 0), _place(position, 1)], _GRID, _SCALE)
        draw.line([_place(0, position), _place(1, position)], _GRID, _SCALE)
    for (fractions, similarities, _), color in ((insertion, INSERTION), (deletion, DELETION)):
        points = [_place(x, y) for x, y in zip(fractions, similarities, strict=True)]
        draw.line(points, color, 2 * _SCALE, joint="curve")
    picture = large.resize(size, Image.Resampling.LANCZOS)
    _write(ImageDraw.Draw(picture), title, insertion[2], deletion[2])
    return picture


def _place(x: float, y: float) -> tuple[float, float]:
    """The pixel, in the larger drawing, of a point of the unit square."""
    return (_LEFT + x * _SIDE) * _SCALE, (_TOP + (1 - y) * _SIDE) * _SCALE


def _write(draw: ImageDraw.ImageDraw, title: str, insertion: float, deletion: float) -> None:
    face, small = font(14), font(11)
    face.write(draw, (_LEFT, 12), shorten(title, face, _SIDE), _TEXT)
    face.write(draw, (_LEFT, 36), f"insertion {insertion:.3f}", INSERTION)
    face.write(draw, (_LEFT + _SIDE // 2, 36), f"deletion {deletion:.3f}", DELETION)
    for tick in range(6):
        x, y = (value / _SCALE for value in _place(tick / 5, tick / 5))
        small.write(draw, (x, _TOP + _SIDE + 6), f"{tick * 20} %", _TEXT, "ma")
        small.write(draw, (_LEFT - 8, y), f"{tick / 5:.1f}", _TEXT, "rm")
    middle = _LEFT + _SIDE / 2
    caption = "similarity over the share of pixels inserted or deleted"
    small.write(draw, (middle, _TOP + _SIDE + 26), caption, _TEXT, "ma")
