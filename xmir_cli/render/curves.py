"""Curves on the unit square as a picture: insertion and deletion, how much of a mask is found."""

from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw

from xmir_cli.render.lettering import font, shorten

_SIDE, _LEFT, _TOP, _RIGHT, _BOTTOM = 360, 52, 64, 20, 48  # pixels
_SCALE = 4  # drawn larger, then reduced: smooth lines
# of Okabe and Ito's palette: told apart also by colour-blind readers
_COLORS = (
    (0, 114, 178),
    (213, 94, 0),
    (0, 158, 115),
    (204, 121, 167),
    (120, 120, 120),
    (90, 60, 20),
)
INSERTION, DELETION = _COLORS[:2]
_ROW = 20  # pixels between two lines of the legend
_TEXT, _GRID = (40, 40, 40), (222, 222, 222)

DrawnCurve = tuple[Sequence[float], Sequence[float], float]  # fractions, similarities, area


def draw_curves(title: str, insertion: DrawnCurve, deletion: DrawnCurve) -> Image.Image:
    """Both curves over the fraction of pixels, each with its area; similarity from 0 to 1."""
    named = {"insertion": insertion, "deletion": deletion}
    legend = {f"{name} {area:.3f}": curve for name, (*curve, area) in named.items()}
    return _draw(title, legend, "similarity over the share of pixels inserted or deleted")


def draw_shares(
    title: str, found: Mapping[str, Sequence[float]], overlap: Sequence[float]
) -> Image.Image:
    """How much of a mask lies in which share of the pixels, by map; and one map's overlap."""

    def even(curve: Sequence[float]) -> list[Sequence[float]]:
        return [[place / (len(curve) - 1) for place in range(len(curve))], curve]

    legend = {f"mask found by {name}": even(curve) for name, curve in found.items()}
    legend["overlap by threshold"] = even(overlap)
    caption = "share of the highest pixels, or of the largest value"
    return _draw(title, legend, caption)


def _draw(title: str, legend: Mapping[str, Sequence[Sequence[float]]], caption: str) -> Image.Image:
    """Lines on the unit square, each [x, y] under its name in its colour."""
    rows = -(-len(legend) // 2)
    below = _ROW * (rows - 1)  # that the legend takes more than a line
    size = (_LEFT + _SIDE + _RIGHT, _TOP + below + _SIDE + _BOTTOM)
    large = Image.new("RGB", (size[0] * _SCALE, size[1] * _SCALE), "white")
    draw = ImageDraw.Draw(large)

    def place(x: float, y: float) -> tuple[float, float]:
        return (_LEFT + x * _SIDE) * _SCALE, (_TOP + below + (1 - y) * _SIDE) * _SCALE

    for tick in range(6):
        position = tick / 5
        draw.line([place(position, 0), place(position, 1)], _GRID, _SCALE)
        draw.line([place(0, position), place(1, position)], _GRID, _SCALE)
    for (x_values, y_values), color in zip(legend.values(), _COLORS, strict=False):
        points = [place(x, y) for x, y in zip(x_values, y_values, strict=True)]
        draw.line(points, color, 2 * _SCALE, joint="curve")
    picture = large.resize(size, Image.Resampling.LANCZOS)
    _write(ImageDraw.Draw(picture), title, list(legend), caption)
    return picture


def _write(draw: ImageDraw.ImageDraw, title: str, names: Sequence[str], caption: str) -> None:
    face, small = font(14), font(11)
    face.write(draw, (_LEFT, 12), shorten(title, face, _SIDE), _TEXT)
    for number, (name, color) in enumerate(zip(names, _COLORS, strict=False)):
        place = (_LEFT + number % 2 * _SIDE // 2, 36 + number // 2 * _ROW)
        face.write(draw, place, shorten(name, face, _SIDE // 2 - 8), color)
    top = _TOP + (-(-len(names) // 2) - 1) * _ROW
    for tick in range(6):
        x, y = _LEFT + tick / 5 * _SIDE, top + (1 - tick / 5) * _SIDE
        small.write(draw, (x, top + _SIDE + 6), f"{tick * 20} %", _TEXT, "ma")
        small.write(draw, (_LEFT - 8, y), f"{tick / 5:.1f}", _TEXT, "rm")
    small.write(draw, (_LEFT + _SIDE / 2, top + _SIDE + 26), caption, _TEXT, "ma")
