"""Maps as block means, against naive loops."""

import numpy as np
import pytest

from xmir_cli.clusters.blocks import block_means
from xmir_cli.errors import ItemError


def naive(saliency):
    """The mean of each of 16 x 16 blocks, a pixel at a time, a sixteenth of a pixel fine."""
    fine = np.clip(saliency, 0, None).repeat(16, 0).repeat(16, 1)
    height, width = saliency.shape
    means = [
        [
            fine[row * height : (row + 1) * height, column * width : (column + 1) * width].mean()
            for column in range(16)
        ]
        for row in range(16)
    ]
    return np.array(means).ravel() / np.sum(means)


@pytest.mark.parametrize("shape", [(32, 32), (16, 48), (7, 7), (20, 33), (1, 1)])
def test_blocks_are_those_of_a_naive_loop(shape):
    saliency = np.random.default_rng(0).normal(size=shape) + 0.5
    before = saliency.copy()
    blocks = block_means(saliency)
    assert blocks.shape == (256,)
    assert blocks == pytest.approx(naive(saliency), abs=1e-12)
    assert blocks.sum() == pytest.approx(1)
    assert (saliency == before).all()


def test_the_size_of_a_map_and_its_scale_do_not_count():
    saliency = np.random.default_rng(0).random((8, 8))
    larger = 1e300 * saliency.repeat(4, 0).repeat(4, 1)
    assert block_means(larger) == pytest.approx(block_means(saliency))


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_a_map_without_a_positive_value_is_blank(value):
    with pytest.raises(ItemError, match="no value above 0") as caught:
        block_means(np.full((9, 9), value))
    assert caught.value.cause == "blank-map"
