"""What the script of an atlas's page goes through: numbers as bytes, texts as they are."""

import base64
from collections.abc import Sequence

import numpy as np

from xmir_cli.atlas.coloring import COLORS, GREYS, MOST, SCALE, Coloring
from xmir_cli.atlas.page.sprites import COLUMNS, SIDE
from xmir_cli.atlas.scene import Scene
from xmir_cli.render.colormap import colors
from xmir_cli.wire.records import Record

_SHOWN = 6  # neighbours of an image
_STEPS = 256  # colours of a scale
_WHOLE = 32_000  # what a similarity of 1 is in whole numbers


def page_data(scene: Scene, drawn: Sequence[int], sheets: Sequence[str]) -> Record:
    """All of it; `drawn` are the images whose small pictures stand on the sheets, in order."""
    near = scene.around.near
    rows, similarities = near.rows[:, :_SHOWN], near.similarities[:, :_SHOWN]
    return {
        "count": len(scene.places),
        "ids": scene.ids,
        "x": _bytes(scene.places[:, 0], np.float32),
        "y": _bytes(scene.places[:, 1], np.float32),
        "neighbours": rows.shape[1],
        "near": _bytes(rows, np.int32),
        "similar": _bytes(np.nan_to_num(similarities) * _WHOLE, np.int16),
        "whole": _WHOLE,
        "unlike": _bytes(np.nan_to_num(scene.unlike, nan=-1) * 100, np.int16),
        "outliers": scene.furthest.tolist(),
        "duplicates": [[int(row), int(scene.groups[row])] for row in np.flatnonzero(scene.groups)],
        "stars": [
            [each.nearest, each.label, *mean]
            for each, mean in zip(scene.classes, scene.means.tolist(), strict=True)
        ],
        "colorings": [_coloring(each) for each in scene.colorings],
        "most": MOST,
        "palette": {
            paper: {"values": COLORS[paper], "greys": GREYS[paper], "scale": _scale(paper)}
            for paper in COLORS
        },
        "tiles": {"side": SIDE, "columns": COLUMNS, "rows": list(drawn), "sheets": list(sheets)},
    }


def _coloring(coloring: Coloring) -> Record:
    told: Record = {
        "column": coloring.column,
        "codes": _bytes(coloring.codes, np.int32),
        "values": [list(each) for each in coloring.values],
        "missing": coloring.missing,
    }
    if coloring.numbers is not None:
        told |= {
            "numbers": _bytes(coloring.numbers, np.float64),
            "positions": _bytes(np.nan_to_num(coloring.positions) * (_STEPS - 1), np.uint8),
            "ends": list(coloring.end_texts),
            "dates": coloring.are_dates,
        }
    return told


def _scale(paper: str) -> list[str]:
    drawn = colors(np.linspace(*SCALE[paper], _STEPS), "viridis")
    return [f"#{bytes(color).hex()}" for color in drawn]


def _bytes(values: np.ndarray, kind: type[np.generic]) -> str:
    """Numbers in base64, the lowest byte first."""
    whole = np.rint(values) if np.issubdtype(kind, np.integer) else values
    return base64.b64encode(whole.astype(np.dtype(kind).newbyteorder("<")).tobytes()).decode()
