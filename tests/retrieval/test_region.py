import numpy as np
import pytest

from xmir_cli.errors import ItemError, SettingError
from xmir_cli.retrieval.region import cell_shares, parse_region

SIZE = (40, 30)  # width, height
WHOLE = (0.0, 0.0, 40.0, 30.0)
CROP = (5.0, 0.0, 30.0, 30.0)  # the middle of the picture
PADDED = (-4.0, -9.0, 48.0, 48.0)  # a crop larger than the picture


def _naive(region, crop, grid):
    """Overlap over area, cell by cell; the picture's border reaches to the crop's."""
    left, top, width, height = region
    right = left + width if left + width < SIZE[0] else 1e6
    bottom = top + height if top + height < SIZE[1] else 1e6
    left, top = left or -1e6, top or -1e6
    found = np.zeros(grid)
    across, down = crop[2] / grid[1], crop[3] / grid[0]
    for row in range(grid[0]):
        for column in range(grid[1]):
            x, y = crop[0] + column * across, crop[1] + row * down
            wide = min(x + across, right) - max(x, left)
            high = min(y + down, bottom) - max(y, top)
            found[row, column] = max(wide, 0) * max(high, 0) / (across * down)
    return found


@pytest.mark.parametrize("crop", [WHOLE, CROP, PADDED])
@pytest.mark.parametrize("grid", [(7, 7), (3, 5), (1, 1)])
def test_shares_are_the_overlaps_of_a_naive_loop(crop, grid):
    for region in [WHOLE, (10, 7, 12, 9), (0, 0, 11.5, 30), (33, 20, 7, 10), (12.25, 0, 0.5, 1)]:
        found = cell_shares(region, crop, SIZE, grid)
        np.testing.assert_allclose(found, _naive(region, crop, grid), atol=1e-12)


def test_a_cell_half_inside_counts_half():
    shares = cell_shares((10, 0, 10, 15), WHOLE, SIZE, (2, 4))
    assert shares.tolist() == [[0, 1, 0, 0], [0, 0, 0, 0]]
    shares = cell_shares((5, 0, 10, 7.5), WHOLE, SIZE, (2, 4))
    assert shares.tolist() == [[0.25, 0.25, 0, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize("crop", [WHOLE, CROP, PADDED])
def test_the_whole_picture_has_all_of_every_cell_and_its_halves_add_up(crop):
    grid = (7, 7)
    assert (cell_shares(WHOLE, crop, SIZE, grid) == 1).all()
    for cut in (13, 20.75):
        sides = [(0, 0, cut, 30), (cut, 0, 40 - cut, 30)]
        total = sum(cell_shares(side, crop, SIZE, grid) for side in sides)
        np.testing.assert_allclose(total, 1, atol=1e-12)


@pytest.mark.parametrize("region", [(30, 0, 11, 10), (0, 25, 10, 5.5), (50, 50, 1, 1)])
def test_a_region_beyond_the_picture_is_refused(region):
    with pytest.raises(ItemError, match="region-outside: reaches"):
        cell_shares(region, WHOLE, SIZE, (7, 7))


def test_a_region_that_the_crop_leaves_out_is_refused():
    with pytest.raises(ItemError) as caught:
        cell_shares((0, 0, 5, 30), CROP, SIZE, (7, 7))
    assert str(caught.value) == "region-not-seen: the network sees 30 x 30 pixels from 5,0"


def test_a_region_is_four_numbers_with_something_in_it():
    assert parse_region("1,2.5,30,4") == (1, 2.5, 30, 4)
    for text in ("", "1,2,3", "1,2,3,4,5", "-1,2,3,4", "a,b,c,d", "1,2,3,nan", "1e3,2,3,4"):
        with pytest.raises(SettingError) as caught:
            parse_region(text)
        assert str(caught.value) == f"region: expected X,Y,W,H in pixels of the image, found {text}"
    for text in ("1,2,0,4", "1,2,3,0.0"):
        with pytest.raises(SettingError, match="empty"):
            parse_region(text)
