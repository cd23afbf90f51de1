"""The crop is known from the size of a picture alone."""

import numpy as np
import pytest
from PIL import Image

from xmir_cli.images.picture import Picture
from xmir_cli.pictures.view import find_crop, view_picture
from xmir_cli.wire.model import Preprocessing


@pytest.mark.parametrize("size", [(40, 36), (36, 40), (33, 97), (16, 16), (5, 300)])
@pytest.mark.parametrize("recipe", [(16, 16), (16, 19), (24, 16)])  # crop and resize
def test_the_crop_is_where_the_view_lies(size: tuple[int, int], recipe: tuple[int, int]):
    """A picture whose greys are its columns, then its rows, tells where its crop was taken."""
    preprocessing = Preprocessing(*recipe)
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
