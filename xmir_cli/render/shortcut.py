"""The tests of a shortcut as a picture: what was found, beside what it is compared with."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from xmir_cli.arrays import Booleans
from xmir_cli.render.drawing import GRID, INK, LIMIT, PALETTE, Drawing, Point
from xmir_cli.render.lettering import font, shorten
from xmir_cli.render.plane import SMALL, Plane, ticks
from xmir_cli.render.words import wrap
from xmir_cli.wire.records import Record

_WIDTH, _MARGIN, _SQUARE = 900, 24, 96  # units: of all, around it, of a part's square
_LEFT = _MARGIN + _SQUARE + 24  # where a test begins, beside its square
_NAMES, _VALUES = 210, 130  # units: for the names of rows, and for their numbers
_TITLE, _TEXT, _LINE = 18, 15, 20  # units, height of letters, and of a line of small ones
_ROW, _HEAD, _FOOT = 24, 74, 58  # units: a row, above all rows of a test, and below them
_FOUND, _BESIDE, _THIRD = PALETTE[0], LIMIT, PALETTE[4]
_ALARM, _HIDDEN = PALETTE[1], (90, 90, 90)
_CELLS = 48  # of a square's side; more are not seen
_LEGENDS = {
    "object": ("what is left", "labels permuted", "nothing hidden"),
    "suspect": ("hidden here", "elsewhere, mean", "elsewhere, worst"),
    "saliency": ("this image", "another image's part", "its area"),
}


class _Row(NamedTuple):
    name: str
    found: float
    beside: float
    third: float | None


def draw_shortcut(tests: Sequence[Record], parts: Mapping[str, Booleans]) -> Drawing:
    """What each test found, with the part that it hides or looks at.

    Args:
        tests: Their records.
        parts: [S, S] of `object` and of `suspect`.
    """
    about = wrap(_about(tests[0]), font(SMALL), _WIDTH - 2 * _MARGIN)
    rows = [list(_rows(record)) for record in tests]
    heights = [max(_HEAD + _ROW * len(each) + _FOOT, _SQUARE + 56) for each in rows]
    top = 60 + _LINE * len(about)
    title = "Does retrieval go by a shortcut?"
    drawing = Drawing(_WIDTH, top + sum(heights), title)
    drawing.words((_MARGIN, 26), title, _TITLE)
    for number, line in enumerate(about):
        drawing.words((_MARGIN, 54 + _LINE * number), line, SMALL)
    for record, own, height in zip(tests, rows, heights, strict=True):
        _draw_part(drawing, parts["object" if record["test"] == "object" else "suspect"], top)
        _draw_head(drawing, record, top)
        _draw_rows(drawing, own, top + _HEAD)
        top += height
    return drawing


def _about(record: Record) -> str:
    labels = record["labels"]
    assert isinstance(labels, dict)
    counts = ", ".join(f"{name} {count}" for name, count in labels.items())
    return (
        f"{record['images']} images ({counts}). An alarm has an effect of "
        f"{record['least_effect']:g} or more, and a p, corrected for all tests, below "
        f"{record['level']:g}."
    )


def _rows(record: Record) -> Iterator[_Row]:
    """What is drawn of a test, a row each."""
    if record["test"] == "object":
        for name, key in (("mAP", "map"), ("P@1", "p_at_1")):
            found, beside = _number(record[key]), _number(record[f"{key}_chance"])
            yield _Row(name, found, beside, _number(record[f"{key}_whole"]))
        return
    if record["test"] == "suspect":
        drop, mean = _number(record["map_drop"]), _number(record["map_drop_elsewhere"])
        yield _Row("mAP lost", drop, mean, _number(record["map_drop_elsewhere_max"]))
        changed, elsewhere = record["changed"], record["changed_elsewhere"]
        yield _Row("first hits changed", _number(changed), _number(elsewhere), None)
        return
    area, labels = _number(record["area"]), record["by_label"]
    yield _Row("all", _number(record["share"]), _number(record["share_exchanged"]), area)
    assert isinstance(labels, dict)
    for label, told in labels.items():
        for side in ("right", "wrong"):
            if told[f"n_{side}"]:
                name = f"{label}, {side} ({told[f'n_{side}']})"
                yield _Row(name, told[f"share_{side}"], told[f"share_exchanged_{side}"], area)


def _draw_part(drawing: Drawing, part: Booleans, top: float) -> None:
    """A square with the part dark."""
    first = top + 8
    places = ((np.arange(_CELLS) + 0.5) * len(part) / _CELLS).astype(int)
    side = _SQUARE / _CELLS
    for row, cells in enumerate(part[np.ix_(places, places)]):
        edges = np.flatnonzero(np.diff(np.pad(cells.astype(np.int8), 1)))
        for start, end in edges.reshape(-1, 2).tolist():
            y = first + (row + 0.5) * side
            line = [(_MARGIN + start * side, y), (_MARGIN + end * side, y)]
            drawing.line(line, _HIDDEN, side * 1.1)
    right, bottom = _MARGIN + _SQUARE, first + _SQUARE
    corners = [(_MARGIN, first), (right, first), (right, bottom), (_MARGIN, bottom)]
    drawing.line([*corners, corners[0]], INK)


def _draw_head(drawing: Drawing, record: Record, top: float) -> None:
    """What the test asks, what came of it, and what its dots are."""
    test = str(record["test"])
    what = "Share of the similarity in" if test == "saliency" else "Hidden:"
    heading = f"{what} {record['part']}, {_number(record['area']):.0%} of the picture"
    room = _WIDTH - _LEFT - _MARGIN
    drawing.words((_LEFT, top + 12), shorten(heading, font(_TEXT), room), _TEXT)
    alarm = record["verdict"] == "alarm"
    found = f"effect {_number(record['effect']):.3f}, p {_number(record['p_holm']):.2g}"
    heads = {"alarm": "ALARM", "none": "no alarm"}
    told = f"{heads.get(str(record['verdict']), 'undefined')}: {found}"
    if record["meaning"]:
        told += f". {str(record['meaning']).capitalize()}"
    ink = _ALARM if alarm else INK
    drawing.words((_LEFT, top + 34), shorten(told, font(SMALL), room), SMALL, ink)
    left = float(_LEFT + _NAMES)
    for name, color in zip(_LEGENDS[test], (_FOUND, _BESIDE, _THIRD), strict=True):
        drawing.dot((left + 5, top + 56), 5, color)
        drawing.words((left + 16, top + 56), name, SMALL)
        left += font(SMALL).getlength(name) + 40


def _draw_rows(drawing: Drawing, rows: Sequence[_Row], top: float) -> None:
    values = [each for row in rows for each in row[1:] if each is not None]
    across = ticks(min(0.0, *values), max(values), 6)
    width, height = _WIDTH - _LEFT - _NAMES - _VALUES - _MARGIN, _ROW * len(rows)
    plane = Plane(_LEFT + _NAMES, top, width, height, (across[0], across[-1]), (0, 1))
    decimals = max(len(f"{x:g}".partition(".")[2]) for x in across)
    for x in across:
        below = plane.place(x, 0)
        drawing.line([plane.place(x, 1), below], GRID)
        drawing.words((below[0], below[1] + 14), f"{x:.{decimals}f}", SMALL, anchor="middle")
    for place, row in enumerate(rows):
        y = 1 - (place + 0.5) / len(rows)
        found, beside = plane.place(row.found, y), plane.place(row.beside, y)
        name = shorten(row.name, font(SMALL), _NAMES - 16)
        drawing.words((_LEFT + _NAMES - 12, found[1]), name, SMALL, anchor="right")
        _draw_dots(
            drawing, [found, beside], None if row.third is None else plane.place(row.third, y)
        )
        told = f"{row.found:.3f} : {row.beside:.3f}"
        drawing.words((_WIDTH - _MARGIN, found[1]), told, SMALL, anchor="right")


def _draw_dots(drawing: Drawing, pair: Sequence[Point], third: Point | None) -> None:
    """Both numbers, joined, under the third one, which is smaller."""
    drawing.line(pair, _FOUND, 2)
    for place, color in zip(pair[::-1], (_BESIDE, _FOUND), strict=True):
        drawing.dot(place, 5, color)
    if third is not None:
        drawing.dot(third, 3, _THIRD)


def _number(value: object) -> float:
    assert isinstance(value, int | float)
    return float(value)
