"""Two maps of one picture, seen in two ways, brought onto the same pixels."""

from typing import NamedTuple

import numpy as np

from xmir_cli.arrays import Floats
from xmir_cli.pictures.crop import Crop


class Side(NamedTuple):
    """A map [H, W] of what a view of `size` pixels a side shows of a picture."""

    saliency: Floats
    crop: Crop
    size: int


def overlap(first: Side, second: Side) -> tuple[Floats, Floats]:
    """Both maps at the pixels of the first that the second shows, too, [h, w] each.

    The second is interpolated between the middles of its pixels; the same view stays as it is.
    """
    if (first.crop, first.size) == (second.crop, second.size):
        return first.saliency, second.saliency
    mine, other = first.saliency, second.saliency
    for axis in (0, 1):
        wanted, known = _middles(first, axis), _middles(second, axis)
        half = abs(known[-1] - known[0]) / max(len(known) - 1, 1) / 2
        kept = (wanted >= known[0] - half) & (wanted <= known[-1] + half)
        places = np.interp(wanted[kept], known, np.arange(len(known)))
        low = np.floor(places).astype(int)
        high = np.minimum(low + 1, len(known) - 1)
        part = (places - low)[:, None] if axis == 0 else places - low
        other = other.take(low, axis) * (1 - part) + other.take(high, axis) * part
        mine = mine.compress(kept, axis)
    return mine, other


def _middles(side: Side, axis: int) -> Floats:
    """Where the middles of a map's rows or columns lie, in pixels of the picture."""
    left, top, width, height = side.crop.roi
    start, length = ((top, height), (left, width))[axis]
    shown = side.crop.shown(side.size)[axis]
    return start + (np.arange(shown.start, shown.stop) + 0.5) * length / side.size
