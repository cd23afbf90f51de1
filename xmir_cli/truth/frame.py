"""A mask of the original image as the network saw it, and as far as it saw it."""

import math
from dataclasses import dataclass

import numpy as np

from xmir_cli.arrays import Booleans, Integers
from xmir_cli.pictures.crop import Crop


@dataclass(frozen=True)
class SeenMask:
    """The pixels of the network's input that lie on the picture, rows from the top."""

    mask: Booleans  # [h, w]
    grown: Booleans  # [h, w] with what is around it
    outside: float  # the share of the mask, on the original, beyond the input; 0 of an empty one


def see_mask(mask: Booleans, crop: Crop, size: int, tolerance: float) -> SeenMask:
    """The mask under the middle of each pixel of an input of that size, and within a distance.

    Args:
        mask: On the original, upright [H, W].
        crop: What of the original the input shows.
        size: Rows and columns of the input.
        tolerance: How many pixels of the original the grown mask is wider, all around.
    """
    left, top, width, height = crop.roi
    shown_rows, shown_columns = crop.shown(size)
    rows = _places(top, height, size, mask.shape[0])[shown_rows]
    columns = _places(left, width, size, mask.shape[1])[shown_columns]
    inside = mask[_span(top, height, mask.shape[0]), _span(left, width, mask.shape[1])]
    total = int(np.count_nonzero(mask))
    beyond = 1 - np.count_nonzero(inside) / total if total else 0.0
    grown = _near(mask, rows, columns, tolerance)
    return SeenMask(mask[np.ix_(rows, columns)], grown, float(beyond))


def _places(start: float, length: float, size: int, count: int) -> Integers:
    """The pixel of the original under the middle of each of the input's [size]."""
    middles = start + (np.arange(size) + 0.5) * length / size
    return np.asarray(np.clip(np.floor(middles), 0, count - 1).astype(np.int64))


def _span(start: float, length: float, count: int) -> slice:
    """The pixels of the original whose middles the input covers."""
    first, last = (math.ceil(side - 0.5) for side in (start, start + length))
    return slice(min(max(first, 0), count), min(max(last, 0), count))


def _near(mask: Booleans, rows: Integers, columns: Integers, tolerance: float) -> Booleans:
    """Which places [h, w] have a marked pixel within the distance, from middle to middle."""
    near = np.zeros((len(rows), len(columns)), dtype=bool)
    marked_rows, marked_columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(marked_rows):
        return near
    top, left = int(marked_rows[0]), int(marked_columns[0])
    part = mask[top : marked_rows[-1] + 1, left : marked_columns[-1] + 1]
    # before each column of a row, how many pixels are marked: those between two are a difference
    before = np.zeros((part.shape[0], part.shape[1] + 1), dtype=np.int32)
    np.cumsum(part, axis=1, out=before[:, 1:])
    for step in range(-math.floor(tolerance), math.floor(tolerance) + 1):
        reach = math.floor(math.sqrt(tolerance**2 - step**2))
        sources = rows + step - top
        there = np.flatnonzero((sources >= 0) & (sources < len(part)))
        first = np.clip(columns - reach - left, 0, part.shape[1])
        last = np.clip(columns + reach + 1 - left, 0, part.shape[1])
        lines = before[sources[there]]
        near[there] |= lines[:, last] > lines[:, first]
    return near
