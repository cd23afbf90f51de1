"""A map changed at its own scale: its cells in other places, or without its detail.

Scattered pixels are seen by a network as noise, which lowers a similarity more than any hole: they
beat every method at deletion and prove nothing. What shows whether a map is right is one with the
same values at the same scale.
"""

import math

import torch
from torch import Tensor

from xmir_cli.metrics.blur import blur
from xmir_cli.saliency.upsample import weights_between

BLOCKS = 7  # a side, of a map that is no grid of cells
_PART = 32  # of the side is the blur's sigma: 7 of 224 pixels
_FINEST = 4  # pixels that a cell has at least
_CLOSE = 1e-5  # of the map: what single precision leaves


def shuffle_cells(saliency: Tensor, generator: torch.Generator) -> Tensor:
    """The map [S, S] with its cells in another order; NaN, which lie beyond the picture, stay.

    The cells are those of the grid that it was drawn from, where it is one, else blocks of a
    seventh of its side.
    """
    inside = _inside(saliency)
    shuffled = saliency.clone()
    cells = find_grid(saliency)
    part = saliency[inside]
    if cells is None:
        shuffled[inside] = _shuffle_blocks(part, math.ceil(len(saliency) / BLOCKS), generator)
        return shuffled
    rows, columns = (weights_between(cells, len(saliency))[each] for each in inside)
    grid = torch.linalg.pinv(rows) @ part.double() @ torch.linalg.pinv(columns).T
    seen = _seen(inside[0], cells, len(saliency)), _seen(inside[1], cells, len(saliency))
    kept = grid[seen].flatten()
    grid[seen] = kept[torch.randperm(len(kept), generator=generator)].reshape(grid[seen].shape)
    shuffled[inside] = (rows @ grid @ columns.T).to(saliency)
    return shuffled


def find_grid(saliency: Tensor) -> int | None:
    """How many cells a side the grid has that the map [S, S] was drawn from; None for no grid.

    A map is drawn from cells when its rows and its columns are sums of theirs; NaN lie beyond it.
    """
    inside = _inside(saliency)
    part = saliency[inside].double()
    generator = torch.Generator().manual_seed(0)
    mixed = [
        each @ torch.randn(each.shape[1], 4, generator=generator, dtype=torch.float64)
        for each in (part, part.T)
    ]
    for cells in range(2, len(saliency) // _FINEST + 1):
        weights = weights_between(cells, len(saliency))
        if all(_spans(weights[lines], sums) for lines, sums in zip(inside, mixed, strict=True)):
            return cells
    return None


def smooth(saliency: Tensor) -> Tensor:
    """The map [S, S] blurred by a Gaussian of a 32nd of its side, mirrored; NaN stay."""
    sigma = len(saliency) / _PART
    reach = math.ceil(3 * sigma)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1).double() / sigma) ** 2)
    inside = _inside(saliency)
    smoothed = saliency.clone()
    smoothed[inside] = blur(saliency[inside][None], kernel / kernel.sum(), reflect=True)[0]
    return smoothed


def _inside(saliency: Tensor) -> tuple[slice, slice]:
    """The rows and columns of what is no NaN."""
    known = ~saliency.isnan()
    lines = (torch.nonzero(known.any(dim=axis)).flatten().tolist() for axis in (1, 0))
    rows, columns = (slice(each[0], each[-1] + 1) if each else slice(0, 0) for each in lines)
    return rows, columns


def _spans(weights: Tensor, sums: Tensor) -> bool:
    """Whether columns [n, 4] are sums of the columns of the weights [n, cells]."""
    basis = torch.linalg.qr(weights).Q
    left = sums - basis @ (basis.T @ sums)
    return bool(left.norm() <= _CLOSE * sums.norm())


def _seen(lines: slice, cells: int, size: int) -> slice:
    """The cells whose middles lie in those lines of a map."""
    first = math.ceil(lines.start * cells / size - 0.5)
    return slice(first, max(first, math.ceil(lines.stop * cells / size - 0.5)))


def _shuffle_blocks(part: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """Blocks of about `side` pixels in another order; less than one a block stay at the end."""
    counts = [max(1, round(length / side)) for length in part.shape]
    height, width = (length // count for length, count in zip(part.shape, counts, strict=True))
    whole = part[: height * counts[0], : width * counts[1]]
    blocks = whole.unfold(0, height, height).unfold(1, width, width)
    mixed = blocks.reshape(-1, height, width)
    mixed = mixed[torch.randperm(len(mixed), generator=generator)].reshape(blocks.shape)
    changed = part.clone()
    changed[: whole.shape[0], : whole.shape[1]] = mixed.transpose(1, 2).reshape(whole.shape)
    return changed
