"""A part of the query image: a rectangle, and how much of each cell of the feature map lies in it.

Source: the cells' equivalent embeddings sum to the image's (Stylianou et al., Visualizing deep
similarity networks, WACV 2019), so the vector of a part is the sum over its cells.
"""

import re
from collections.abc import Sequence

import numpy as np

from xmir_cli.arrays import Floats
from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError, SettingError

Region = tuple[float, float, float, float]  # left, top, width, height in the original's pixels

_NUMBER = r"(\d{1,6}(?:\.\d{1,6})?)"
_REGION = re.compile(",".join([_NUMBER] * 4))


def parse_region(text: str) -> Region:
    """`X,Y,W,H` as a rectangle; raises SettingError when it is none or nothing lies in it."""
    match = _REGION.fullmatch(text)
    if match is None:
        raise SettingError("region", f"expected X,Y,W,H in pixels of the image, found {text}")
    left, top, width, height = map(float, match.groups())
    if not (width and height):
        raise SettingError("region", "empty", "Its width and height must be above 0.", value=text)
    return left, top, width, height


def cell_shares(
    region: Region, crop: Region, image_size: tuple[int, int], grid: Sequence[int]
) -> Floats:
    """How much of each cell lies in the region, 0 to 1: [h, w].

    The cells tile the `crop`, what the network sees of the image. What it sees beyond the image's
    borders, where the crop is larger, goes with the border: the whole image has every cell.

    Raises ItemError when the region is not within the image or the network sees nothing of it.
    """
    sides = [
        _overlaps((start, length), (begin, extent), size, cells)
        for start, length, begin, extent, size, cells in zip(
            region[:2], region[2:], crop[:2], crop[2:], image_size, grid[::-1], strict=True
        )
    ]
    columns, rows = sides
    shares = np.outer(rows, columns)
    if not shares.any():
        seen = f"{crop[2]:g} x {crop[3]:g} pixels from {crop[0]:g},{crop[1]:g}"
        raise ItemError(Cause.REGION_NOT_SEEN, f"the network sees {seen}")
    return shares


def _overlaps(
    region: tuple[float, float], crop: tuple[float, float], size: int, cells: int
) -> Floats:
    """The share of each cell [cells] along one axis; places and lengths in the image's pixels."""
    start, stop = region[0], region[0] + region[1]
    if stop > size:
        raise ItemError(Cause.REGION_OUTSIDE, f"reaches {stop:g}, the image ends at {size}")
    low = -np.inf if start == 0 else start
    high = np.inf if stop == size else stop
    edges = crop[0] + np.linspace(0, 1, cells + 1) * crop[1]
    inside = np.minimum(edges[1:], high) - np.maximum(edges[:-1], low)
    return np.asarray(np.clip(inside, 0, None) / np.diff(edges))
