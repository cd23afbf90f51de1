"""Random views of a picture for training, drawn as torchvision's transforms draw them."""

import math

import numpy as np
from numpy.random import Generator

from xmir_cli.images.picture import Picture
from xmir_cli.pictures.crop import crop_corner
from xmir_cli.pictures.view import (
    SAMPLING,
    View,
    square_picture,
    three_channels,
    view_picture,
)
from xmir_cli.training.recipe import Augmentation
from xmir_cli.wire.model import Preprocessing

_AREA = (0.08, 1.0)  # of the picture
_RATIO = (3 / 4, 4 / 3)  # width by height
_TRIES = 10

_Box = tuple[int, int, int, int]  # left, top, right, bottom


def augment(
    resized: Picture, recipe: Preprocessing, augmentation: Augmentation, rng: Generator
) -> View:
    """A random view of a picture that `resize_picture` made; all randomness comes from `rng`."""
    size = recipe.input_size
    view = view_picture(resized, recipe)
    whole = square_picture(resized) if recipe.view == "pad" else resized.pixels
    if augmentation.shift:
        left, top = draw_corner(recipe, *whole.size, rng)
        view = View(three_channels(whole.crop((left, top, left + size, top + size))), view.crop)
    if augmentation.random_resized_crop:
        crop = whole.crop(draw_crop(*whole.size, rng))
        enlarged = crop.resize((size, size), SAMPLING[recipe.interpolation])
        view = View(three_channels(enlarged), view.crop)
    if augmentation.flip and rng.random() < 0.5:
        view = View(np.ascontiguousarray(view.pixels[:, ::-1]), view.crop)
    return view


def draw_corner(recipe: Preprocessing, width: int, height: int, rng: Generator) -> tuple[int, int]:
    """Left and top of the input's square anywhere in a picture; in the middle where it is larger.

    As in torchvision's RandomCrop after Resize.
    """
    spare = [length - recipe.input_size for length in (width, height)]
    drawn = [int(rng.integers(0, max(0, each), endpoint=True)) for each in spare]
    middle = crop_corner(recipe, width, height)
    left, top = (
        place if most >= 0 else centre
        for place, most, centre in zip(drawn, spare, middle, strict=True)
    )
    return left, top


def draw_crop(width: int, height: int, rng: Generator) -> _Box:
    """A crop of random area, shape and place (8 % to all of it, 3:4 to 4:3); Inception's.

    Ten tries, then the largest central box whose shape is allowed. Source: Szegedy et al., CVPR
    2015, as in torchvision's RandomResizedCrop.
    """
    for _ in range(_TRIES):
        area = width * height * rng.uniform(*_AREA)
        ratio = math.exp(rng.uniform(math.log(_RATIO[0]), math.log(_RATIO[1])))
        wide, high = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < wide <= width and 0 < high <= height:
            left = int(rng.integers(0, width - wide, endpoint=True))
            top = int(rng.integers(0, height - high, endpoint=True))
            return left, top, left + wide, top + high
    wide = min(width, round(height * _RATIO[1]))
    high = min(height, round(width / _RATIO[0]))
    left, top = (width - wide) // 2, (height - high) // 2
    return left, top, left + wide, top + high
