"""The frame is known from the size of a picture alone."""

import pytest
import torch
from PIL import Image
from torch import nn

from xmir_cli.images.decode import Picture
from xmir_cli.model.embedder import Embedder
from xmir_cli.model.network import Architecture, Network
from xmir_cli.pictures.frame import frame_of
from xmir_cli.records import ModelSpec, Preprocessing


@pytest.mark.parametrize("size", [(40, 36), (36, 40), (33, 97), (16, 16), (5, 300)])
@pytest.mark.parametrize("recipe", [(16, 16), (16, 19), (24, 16)])  # crop and resize
def test_the_frame_is_that_of_the_view(size: tuple[int, int], recipe: tuple[int, int]):
    preprocessing = Preprocessing(*recipe)
    network = Network(Architecture(nn.Identity(), 3, preprocessing), None)
    spec = ModelSpec("toy", "random:0", None, preprocessing)
    view = Embedder(network, spec, torch.device("cpu")).view(
        Picture(Image.new("L", size), *size, ())
    )
    found = frame_of(preprocessing, *size)
    assert (found.roi, found.image_size) == (view.roi, size)


def test_the_whole_short_side_is_seen_and_the_middle_of_the_long_one():
    assert frame_of(Preprocessing(input_size=10, resize=10), 40, 20).roi == (10.0, 0.0, 20.0, 20.0)
