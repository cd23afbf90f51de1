"""What a map is compared by: where its positive saliency lies, in 16 x 16 blocks."""

import numpy as np

from xmir_cli.arrays import Floats
from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError

BLOCKS = 16  # a side


def block_means(saliency: Floats) -> Floats:
    """The map [H, W] as means of its positive part over 16 x 16 equal blocks [256], of sum 1.

    A pixel that two blocks share counts for each by its area there.

    Raises ItemError for a map without any positive value.

    Source: Lapuschkin et al., Unmasking Clever Hans predictors, Nature Communications 2019.
    """
    positive = np.clip(saliency, 0, None)
    largest = positive.max(initial=0)
    if largest <= 0:
        raise ItemError(Cause.BLANK_MAP, "no value above 0")
    rows, columns = map(_overlaps, positive.shape)
    means = (rows @ (positive / largest) @ columns.T).ravel()
    return np.asarray(means / means.sum())


def _overlaps(size: int) -> Floats:
    """How much of each of `size` pixels lies in each block [16, size]."""
    edges = np.linspace(0, size, BLOCKS + 1)
    pixels = np.arange(size)
    ends = np.minimum(edges[1:, None], pixels[None] + 1)
    return np.asarray(np.clip(ends - np.maximum(edges[:-1, None], pixels[None]), 0, None))
