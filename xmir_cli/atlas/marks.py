"""Stars, crosses, rings and squares: smooth where they are drawn several times too large."""

import math
from collections.abc import Sequence

from PIL import ImageDraw

from xmir_cli.render.montage import INK, PAPER

Rgb = tuple[int, int, int]
Spot = Sequence[float]  # x and y, pixels
_INNER = 0.45  # radius of a star's inner corners over that of its outer ones
_ARM = 0.25  # half the width of a cross's arms over their length


def draw_star(
    pen: ImageDraw.ImageDraw, at: Spot, radius: float, color: Rgb, line: float = 1
) -> None:
    """A star with a dark edge in a white one, seen on every point."""
    for edge, fill in ((5 * line, PAPER), (2.5 * line, INK), (0.0, color)):
        corners = []
        for number in range(10):
            length = (radius + edge) * (1 if number % 2 == 0 else _INNER)
            angle = number * math.pi / 5
            corners.append((at[0] + length * math.sin(angle), at[1] - length * math.cos(angle)))
        pen.polygon(corners, fill)


def draw_cross(
    pen: ImageDraw.ImageDraw, at: Spot, radius: float, color: Rgb, line: float = 1
) -> None:
    """An upright cross with a dark edge in a white one, seen on every point."""
    for edge, fill in ((3.5 * line, PAPER), (1.75 * line, INK), (0.0, color)):
        long, thick = radius + edge, radius * _ARM + edge
        for across, down in ((long, thick), (thick, long)):
            pen.rectangle((at[0] - across, at[1] - down, at[0] + across, at[1] + down), fill)


def draw_ring(pen: ImageDraw.ImageDraw, at: Spot, radius: float, line: float = 1) -> None:
    """A ring around what lies apart."""
    for width, color, more in _EDGES:
        box = _box(at, radius + more * line)
        pen.ellipse(box, outline=color, width=round(width * line))


def draw_square(pen: ImageDraw.ImageDraw, at: Spot, radius: float, line: float = 1) -> None:
    """A square around what is there more than once."""
    for width, color, more in _EDGES:
        box = _box(at, radius + more * line)
        pen.rectangle(box, outline=color, width=round(width * line))


_EDGES = ((4, PAPER, 1), (2, INK, 0))  # width and colour of an edge, and how far it lies outside


def _box(at: Spot, radius: float) -> tuple[float, float, float, float]:
    return at[0] - radius, at[1] - radius, at[0] + radius, at[1] + radius
