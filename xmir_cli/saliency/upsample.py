"""From the grid of a feature map to the pixels of the network's input."""

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional


def upsample(grid: Tensor, size: int) -> Tensor:
    """A grid [h, w] as a map [size, size], float32 on the CPU.

    Bilinear with half-pixel centres and replicated edges: constants stay, minimum and maximum are
    never exceeded, and an integer factor keeps the mean.
    """
    rows, columns = grid.shape
    values = grid.detach().cpu().double()  # float32 would break ties of equal cells
    return (weights_between(rows, size) @ values @ weights_between(columns, size).T).float()


@cache
def weights_between(cells: int, size: int) -> Tensor:
    """How much each cell of a line counts at each pixel: [size, cells] float64, rows sum to 1."""
    line = torch.eye(cells, dtype=torch.float64)[None]
    return functional.interpolate(line, size, mode="linear", align_corners=False)[0].T
