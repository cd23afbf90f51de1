"""The crop is known from the size of a picture alone."""

import numpy as np
import pytest
from PIL import Image

from xmir_cli.images.picture import Picture
from xmir_cli.pictures.crop import Crop, find_crop
from xmir_cli.pictures.view import view_picture
from xmir_cli.wire.model import VIEWS, Preprocessing


@pytest.mark.parametrize("size", [(40, 36), (36, 40), (33, 97), (16, 16), (5, 300)])
@pytest.mark.parametrize("recipe", [(16, 16), (16, 19), (24, 16)])  # crop and resize
@pytest.mark.parametrize("how", VIEWS)
def test_the_crop_is_where_the_view_lies(size: tuple[int, int], recipe: tuple[int, int], how: str):
    """A picture whose greys are its columns, then its rows, tells where its crop was taken."""
    preprocessing = Preprocessing(*recipe, view=how)
    for axis in (0, 1):
        length, side = size[axis], preprocessing.input_size
        ramp = np.arange(length, dtype=np.float32)
        values = np.broadcast_to(ramp if axis == 0 else ramp[:, None], size[::-1])
        view = view_picture(Picture(Image.fromarray(values.copy()), *size, ()), preprocessing)
        left, extent = view.crop.roi[axis], view.crop.roi[axis + 2]
        shown = view.pixels[:, :, 0].max(axis=axis)  # beyond the picture is zero
        centres = left + (np.arange(side) + 0.5) * extent / side - 0.5
        inside = (centres > 1) & (centres < length - 2)  # away from borders
        reach = max(1.0, extent / side)  # a pixel of the view
        assert np.abs(shown - centres)[inside].max(initial=0) < reach or not inside.any()
        assert view.crop == find_crop(preprocessing, *size)
        assert view.crop.image_size == size


def test_the_whole_short_side_is_seen_and_the_middle_of_the_long_one():
    assert find_crop(Preprocessing(input_size=10, resize=10), 40, 20).roi == (10.0, 0.0, 20.0, 20.0)


@pytest.mark.parametrize("size", [(40, 20), (20, 40), (31, 77), (1, 500), (500, 3)])
def test_a_padded_view_holds_the_whole_picture_in_its_shape(size: tuple[int, int]):
    recipe = Preprocessing(input_size=20, resize=20, view="pad")
    view = view_picture(Picture(Image.new("L", size, 200), *size, ()), recipe)
    left, top, width, height = view.crop.roi
    assert left <= 0 <= size[0] <= left + width
    assert top <= 0 <= size[1] <= top + height
    rows, columns = view.crop.shown(20)
    shown = np.zeros((20, 20))
    shown[rows, columns] = 200  # black beside the picture, nothing mixed into its edge
    assert np.array_equal(view.pixels[:, :, 0], shown)
    assert max(shown.any(axis=0).sum(), shown.any(axis=1).sum()) == 20


def test_a_padded_picture_lies_in_the_middle():
    recipe = Preprocessing(input_size=20, resize=20, view="pad")
    assert find_crop(recipe, 40, 20).roi == (0.0, -10.0, 40.0, 40.0)
    assert find_crop(recipe, 20, 40).roi == (-10.0, 0.0, 40.0, 40.0)


@pytest.mark.parametrize("size", [(40, 20), (20, 40), (31, 77), (1, 500)])
def test_a_squashed_view_is_the_picture_from_border_to_border(size: tuple[int, int]):
    recipe = Preprocessing(input_size=20, resize=20, view="squash")
    crop = find_crop(recipe, *size)
    assert crop.roi == pytest.approx((0, 0, *size))
    assert crop.shown(20) == (slice(0, 20), slice(0, 20))


@pytest.mark.parametrize("how", VIEWS)
def test_a_larger_resize_leaves_out_a_margin_of_every_view(how: str):
    roi = find_crop(Preprocessing(input_size=20, resize=40, view=how), 60, 30).roi
    assert (
        roi
        == {"crop": (22.5, 7.5, 15, 15), "pad": (15, 0, 30, 30), "squash": (15, 7.5, 30, 15)}[how]
    )


def test_the_rows_and_columns_shown_are_those_over_the_picture():
    crop = Crop((-10.0, 5.0, 40.0, 40.0), (20, 100))
    assert crop.shown(8) == (slice(0, 8), slice(2, 6))
    beyond = Crop((30.0, 0.0, 40.0, 40.0), (20, 100))
    assert beyond.shown(8) == (slice(0, 8), slice(0, 0))
