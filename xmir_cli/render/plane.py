"""A plane with two axes on a drawing: its grid, its numbers, and where values lie."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from xmir_cli.render.drawing import GRID, Color, Drawing, Point

SMALL = 13  # units, height of the letters at an axis
_LINE, _DOT = 2.0, 3.0  # units
_TINY = 0.005  # an axis up to here has its numbers as powers of ten


@dataclass(frozen=True)
class Plane:
    """A rectangle of a drawing, in its units, and the values at its edges."""

    left: float
    top: float
    width: float
    height: float
    x: tuple[float, float]  # at the left and at the right
    y: tuple[float, float]  # at the bottom and at the top

    def place(self, x: float, y: float) -> Point:
        """Where a value lies; above and below the plane at its edge."""
        (first, last), (low, high) = self.x, self.y
        right, up = (x - first) / (last - first), (min(max(y, low), high) - low) / (high - low)
        return self.left + right * self.width, self.top + (1 - up) * self.height

    def draw_grid(self, drawing: Drawing, across: Sequence[float], up: Sequence[float]) -> None:
        """Thin lines at the places of the axes, those of y with their numbers."""
        for x in across:
            drawing.line([self.place(x, self.y[0]), self.place(x, self.y[1])], GRID)
        decimals = max((len(f"{y:g}".partition(".")[2]) for y in up), default=0)
        for y in up:
            start, end = self.place(self.x[0], y), self.place(self.x[1], y)
            drawing.line([start, end], GRID)
            text = f"{y:g}" if max(map(abs, up)) < _TINY else f"{y:.{decimals}f}"
            drawing.words((start[0] - 8, start[1]), text, SMALL, anchor="right")

    def draw_curve(
        self, drawing: Drawing, points: Sequence[tuple[float, float | None]], color: Color
    ) -> None:
        """A line through values, None a gap, with a dot at each where they stand apart."""
        dots = len(points) * 4 * _DOT < self.width
        for known, part in groupby(points, key=lambda point: point[1] is not None):
            if known:
                places = [self.place(x, y) for x, y in part if y is not None]
                if len(places) > 1:
                    drawing.line(places, color, _LINE)
                for place in places if dots or len(places) == 1 else ():
                    drawing.dot(place, _DOT, color)


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round values from `low` or below to `high` or above, evenly spaced, about `most` at most."""
    if low == high:
        low, high = min(low, 0.0), max(high, 0.0) or 1.0
    span = high - low
    step = 10.0 ** math.floor(math.log10(span / most))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= most)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(place * step, 12) for place in range(first, max(last, first + 1) + 1)]
