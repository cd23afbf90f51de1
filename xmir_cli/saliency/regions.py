"""Between the cells of a feature map and the pixels of the original picture."""

import torch
from torch import Tensor

from xmir_cli.affine.passes import Grid

_LEAST = 1e-6  # pixels; less is a rounding error

Rectangle = tuple[float, float, float, float]  # left, top, width, height in the original's pixels


def point_weights(point: tuple[float, float], crop: Rectangle, grid: Grid) -> Tensor | None:
    """Bilinear weights [h * w] of the cells around a pixel (x, y), which sum to 1.

    `crop` is what the network sees of the picture; None for a pixel outside. Between the border
    and the middle of the outermost cell the cell counts alone, as in Zhu et al. 2021.
    """
    sides = []
    for place, start, length, cells in zip(point, crop[:2], crop[2:], grid[::-1], strict=True):
        share = (place + 0.5 - start) / length
        if not 0 <= share < 1:
            return None
        sides.append(_linear(min(max(share * cells - 0.5, 0), cells - 1), cells))
    columns, rows = sides
    return torch.outer(rows, columns).flatten()


def cell_box(cell: int, crop: Rectangle, grid: Grid) -> Rectangle:
    """The part of the picture under a cell, counted row by row."""
    left, top, width, height = crop
    row, column = divmod(cell, grid[1])
    side_x, side_y = width / grid[1], height / grid[0]
    return (left + column * side_x, top + row * side_y, side_x, side_y)


def clip_box(box: Rectangle, picture: tuple[float, float]) -> Rectangle | None:
    """The part of a box on a picture of that width and height; None where there is none."""
    left, top = max(box[0], 0), max(box[1], 0)
    width, height = min(box[0] + box[2], picture[0]) - left, min(box[1] + box[3], picture[1]) - top
    return (left, top, width, height) if min(width, height) > _LEAST else None


def strongest_pairs(pairs: Tensor, grids: tuple[Grid, Grid], count: int) -> list[tuple[int, int]]:
    """Up to `count` of the largest positive entries of [n, m], largest first; ties in row order.

    A cell that was chosen keeps its neighbours out on both sides, so that regions never touch.
    """
    left = pairs.clone()
    chosen: list[tuple[int, int]] = []
    while len(chosen) < count:
        first, second = divmod(int(left.argmax()), left.shape[1])
        if not left[first, second] > 0:
            break
        chosen.append((first, second))
        left[_near(first, grids[0])] = 0
        left[:, _near(second, grids[1])] = 0
    return chosen


def _linear(place: float, count: int) -> Tensor:
    """Weights [count] that put a place between two neighbours."""
    below = int(place)
    weights = torch.zeros(count)
    weights[below] = 1 - (place - below)
    if place > below:
        weights[below + 1] = place - below
    return weights


def _near(cell: int, grid: Grid) -> Tensor:
    """Which cells [n] touch this one, corners included."""
    row, column = divmod(cell, grid[1])
    rows = (torch.arange(grid[0]) - row).abs() <= 1
    columns = (torch.arange(grid[1]) - column).abs() <= 1
    return torch.outer(rows, columns).flatten()
