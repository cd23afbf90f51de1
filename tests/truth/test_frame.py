"""A mask in the network's frame: what is under the middle of each pixel."""

import numpy as np
import pytest

from xmir_cli.pictures.crop import Crop
from xmir_cli.truth.frame import see_mask


@pytest.mark.parametrize("tolerance", [0, 1, 2.5, 7])
@pytest.mark.parametrize(
    "roi", [(0, 0, 40, 30), (5, 0, 30, 30), (4.5, -3.25, 30.5, 36.5), (-5, -5, 50, 50)]
)
def test_each_pixel_tells_what_is_under_its_middle_and_within_the_distance(roi, tolerance):
    rng = np.random.default_rng(2)
    mask, size = rng.random((30, 40)) < 0.01, 16
    seen = see_mask(mask, Crop(roi, (40, 30)), size, tolerance)
    marked = np.argwhere(mask)
    expected, near = [], []
    for row in range(size):
        for column in range(size):
            x = roi[0] + (column + 0.5) * roi[2] / size
            y = roi[1] + (row + 0.5) * roi[3] / size
            if not (0 <= x < 40 and 0 <= y < 30):
                continue
            place = np.floor([y, x]).astype(int)
            expected.append(mask[tuple(place)])
            far = np.sqrt(((marked - place) ** 2).sum(axis=1)).min()
            near.append(far <= tolerance)
    assert seen.mask.ravel().tolist() == expected
    assert seen.grown.ravel().tolist() == near
    left, top, width, height = roi
    inside = [
        left <= x + 0.5 < left + width and top <= y + 0.5 < top + height for y, x in marked.tolist()
    ]
    assert seen.outside == pytest.approx(1 - sum(inside) / len(inside))


def test_an_empty_mask_is_nowhere():
    seen = see_mask(np.zeros((8, 8), bool), Crop((0, 0, 8, 8), (8, 8)), 4, 15)
    assert not seen.mask.any()
    assert not seen.grown.any()
    assert seen.outside == 0
