"""The model-randomisation check as a picture: agreement over how far the weights are random."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import ceil, floor

from xmir_cli.render.drawing import INK, LIMIT, PALETTE, Color, Drawing
from xmir_cli.render.lettering import font, shorten
from xmir_cli.render.plane import SMALL, Plane
from xmir_cli.render.words import wrap

_LEFT, _TOP, _HEIGHT, _MARGIN = 64, 104, 320, 20  # units
_COLUMN, _NARROW, _LEAST, _MOST = 56, 20, 400, 1200  # units: of a stage, and of all of them
_LABEL, _LEGEND = 300, 480  # units: the longest name of a stage, and of a method
_TITLE, _TEXT, _LINE = 18, 15, 24  # units: height of letters, and of a line of the legend
_DASHES = (5.0, 4.0)  # units
_STEP = 0.25  # of the agreement between two lines, which reach below 0
_ALIKE = 2  # digits after the point that lines share which cover each other
_HEADING = "Rank correlation with the trained network's map"
_ABOUT = (
    "1: the same map although weights are random, so it does not show what the network knows; "
    "near 0: it depends on the weights"
)
_ACROSS = {
    "full": "which weights are random",
    "cascading": "up to this block, from the output on, the weights are random",
    "independent": "this block's weights are random",
}


def draw_sanity(
    stages: Sequence[str],
    curves: Mapping[str, Sequence[float | None]],
    threshold: float,
    mode: str = "cascading",
    verdicts: Mapping[str, str] | None = None,
) -> Drawing:
    """Each method's mean rank correlation with its own maps of the trained network, by stage.

    Args:
        stages: Their names, the trained network first.
        curves: The values of each method at all stages; None leaves a gap.
        threshold: Up to which, in size, the agreement passes when all weights are random.
        mode: full, cascading or independent: what the stages are.
        verdicts: Of methods, which stand beside their names.
    """
    small, face = font(SMALL), font(_TEXT)
    names = [_name(name, (verdicts or {}).get(name)) for name in curves]
    names = [shorten(name, face, _LEGEND) for name in names]
    labels = [shorten(stage, small, _LABEL) for stage in stages]
    gaps = max(len(stages) - 1, 1)
    across = max(min(_COLUMN * gaps, _MOST), _NARROW * gaps, _LEAST)
    legend = max(face.getlength(each) for each in names) + 34
    below = max(map(small.getlength, labels))
    known = [value for line in curves.values() for value in line if value is not None]
    low = _STEP * min([-1, *(floor(value / _STEP) for value in known)])
    height = max(_HEIGHT, _LINE * len(names) + 2 * _LINE)
    plane = Plane(_LEFT, _TOP, across, height, (0, gaps), (low, 1.0))
    size = (
        ceil(_LEFT + across + _MARGIN + legend + _MARGIN),
        ceil(_TOP + height + below + _LINE + 1.5 * _MARGIN),
    )
    drawing = Drawing(*size, _HEADING)
    _write_head(drawing)
    plane.draw_grid(drawing, [float(place) for place in range(len(stages))], _places(low))
    _draw_threshold(drawing, plane, threshold)
    numbers = _number(list(curves.values()))
    for number, values in zip(numbers, curves.values(), strict=True):
        _draw_curve(drawing, plane, values, number)
    _draw_legend(drawing, list(zip(numbers, names, strict=True)), plane.left + across + _MARGIN)
    for place, label in enumerate(labels):
        x, y = plane.place(place, plane.y[0])
        drawing.words((x, y + 8), label, SMALL, upright=True)
    middle = (plane.left + across / 2, size[1] - _MARGIN)
    drawing.words(middle, _ACROSS[mode], _TEXT, anchor="middle")
    return drawing


def _places(low: float) -> list[float]:
    return [low + place * _STEP for place in range(round((1 - low) / _STEP) + 1)]


def _number(lines: Sequence[Sequence[float | None]]) -> list[int]:
    """A number for each line; those that cover each other have one, and so one look."""
    seen: dict[tuple[float | None, ...], int] = {}
    return [
        seen.setdefault(
            tuple(None if value is None else round(value, _ALIKE) for value in line), len(seen)
        )
        for line in lines
    ]


def _name(method: str, verdict: str | None) -> str:
    return f"{method}: {verdict}" if verdict else method


def _write_head(drawing: Drawing) -> None:
    drawing.words((_LEFT, 26), _HEADING, _TITLE)
    lines = wrap(_ABOUT, font(SMALL), (drawing.width - _LEFT - _MARGIN) * 0.95)
    for number, line in enumerate(lines[:2]):
        drawing.words((_LEFT, 54 + number * 20), line, SMALL)


def _draw_threshold(drawing: Drawing, plane: Plane, threshold: float) -> None:
    """What the agreement may reach, and what it may fall to where that is on the plane."""
    for value in dict.fromkeys((threshold, -threshold)):
        if value >= plane.y[0]:
            start, end = plane.place(0, value), plane.place(plane.x[1], value)
            drawing.line([start, end], LIMIT, 1.5, _DASHES)
            drawing.words((start[0] + 8, start[1] - 10), f"threshold {value:g}", SMALL, LIMIT)


def _draw_curve(
    drawing: Drawing, plane: Plane, values: Sequence[float | None], number: int
) -> None:
    """A method's line; from the eighth on dashed, for there are seven colours."""
    color, dashes = _style(number)
    points = [(float(place), value) for place, value in enumerate(values)]
    if dashes is None:
        plane.draw_curve(drawing, points, color)
        return
    for (left, start), (right, end) in pairwise(points):
        if start is not None and end is not None:
            drawing.line([plane.place(left, start), plane.place(right, end)], color, 2, dashes)
    for place, value in points:
        if value is not None:
            drawing.dot(plane.place(place, value), 3, color)


def _draw_legend(drawing: Drawing, names: Sequence[tuple[int, str]], left: float) -> None:
    for place, (number, name) in enumerate(names):
        color, dashes = _style(number)
        y = _TOP + 10 + place * _LINE
        drawing.line([(left, y), (left + 24, y)], color, 3, dashes)
        drawing.words((left + 34, y), name, _TEXT, INK)


def _style(number: int) -> tuple[Color, tuple[float, float] | None]:
    return PALETTE[number % len(PALETTE)], _DASHES if number >= len(PALETTE) else None
