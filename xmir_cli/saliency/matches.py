"""The regions of two images that fit each other best, from what each pair of cells contributes."""

import math

import torch
from torch import Tensor

from xmir_cli.affine.passes import Grid
from xmir_cli.saliency.regions import cell_box, clip_box, strongest_pairs
from xmir_cli.saliency.sample import Match, Sample


def strongest_matches(
    pairs: Tensor, images: tuple[Sample, Sample], grid: Grid, count: int
) -> tuple[Match, ...]:
    """Up to `count` matches, strongest first, whose regions do not touch.

    `pairs` [n, n] holds what each place of the target (rows) and of the explained image (columns)
    add to the similarity together; `grid` is how the places of either lie. The part of a region
    beyond the picture is cut off, and one that lies wholly beyond is none.
    """
    boxes = [
        [clip_box(cell_box(cell, of.crop, grid), of.picture) for cell in range(math.prod(grid))]
        for of in images
    ]
    shown = [torch.tensor([box is not None for box in each]) for each in boxes]
    usable = pairs * torch.outer(*shown).to(pairs)
    matches = []
    for first, second in strongest_pairs(usable, (grid, grid), count):
        left, right = boxes[0][first], boxes[1][second]
        assert left is not None
        assert right is not None
        matches.append(Match(left, right, float(pairs[first, second])))
    return tuple(matches)
