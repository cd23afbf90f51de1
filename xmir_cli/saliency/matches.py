"""The regions of two images that fit each other best, from what each pair of cells contributes."""

from torch import Tensor

from xmir_cli.saliency.regions import Grid, cell_box, strongest_pairs
from xmir_cli.saliency.sample import Match, Sample


def strongest_matches(
    pairs: Tensor, target: Sample, explained: Sample, count: int
) -> tuple[Match, ...]:
    """Up to `count` matches, strongest first, whose regions do not touch.

    `pairs` [n, m] holds what each cell of the target (rows) and of the explained image (columns)
    add to the similarity together.
    """
    grids = (grid_of(target), grid_of(explained))
    return tuple(
        Match(
            cell_box(first, target.crop, grids[0]),
            cell_box(second, explained.crop, grids[1]),
            float(pairs[first, second]),
        )
        for first, second in strongest_pairs(pairs, grids, count)
    )


def grid_of(sample: Sample) -> Grid:
    """Rows and columns of the sample's feature map."""
    return (sample.features.shape[1], sample.features.shape[2])
