"""Two views of one picture, brought onto the same pixels."""

import numpy as np
import pytest

from xmir_cli.pictures.crop import Crop, find_crop
from xmir_cli.scoring.sanity.overlap import Side, overlap
from xmir_cli.wire.model import Preprocessing


def see(crop, size, function):
    """A map of the view whose value at each pixel is that of the place in the picture."""
    left, top, width, height = crop.roi
    rows, columns = crop.shown(size)
    y = top + (np.arange(rows.start, rows.stop) + 0.5) * height / size
    x = left + (np.arange(columns.start, columns.stop) + 0.5) * width / size
    return Side(function(y[:, None], x[None]), crop, size)


def plane(y, x):
    return 3 * y - 2 * x + 1


@pytest.mark.parametrize("shape", [(64, 48), (48, 64), (50, 50), (31, 200)])
@pytest.mark.parametrize(
    "other",
    [
        Preprocessing(input_size=40, resize=40),
        Preprocessing(input_size=16, resize=24),
        Preprocessing(input_size=40, resize=40, view="pad"),
        Preprocessing(input_size=24, resize=24, view="squash"),
    ],
)
def test_the_same_places_have_the_same_values(shape, other):
    first = Preprocessing(input_size=32, resize=36)
    sides = [see(find_crop(recipe, *shape), recipe.input_size, plane) for recipe in (first, other)]
    mine, theirs = overlap(*sides)
    assert mine.shape == theirs.shape
    assert min(mine.shape) >= 3
    step = np.abs(np.diff(sides[1].saliency, axis=0)).max()
    inner = np.s_[1:-1, 1:-1]  # beyond the last middles the nearest value holds
    close = np.isclose(mine, theirs, atol=1e-9)
    assert close[inner].mean() > 0.9
    assert np.abs(mine - theirs).max() < 2 * step + 1e-9


def test_pixels_that_the_other_does_not_show_are_left_out():
    whole = Crop((0, 0, 40, 40), (40, 40))
    middle = Crop((10, 10, 20, 20), (40, 40))
    mine, theirs = overlap(see(whole, 40, plane), see(middle, 20, plane))
    assert mine.shape == (20, 20)
    assert np.allclose(mine, theirs)
    assert np.allclose(mine, see(middle, 20, plane).saliency)


def test_equal_views_stay_as_they_are():
    crop = Crop((0, 0, 40, 40), (40, 40))
    first, second = see(crop, 8, plane), see(crop, 8, lambda y, x: y * x)
    assert overlap(first, second) == (first.saliency, second.saliency)
