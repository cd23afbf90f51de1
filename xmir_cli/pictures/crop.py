"""Where in a picture the square lies that a network sees: known from its size alone."""

import math
from dataclasses import dataclass

from xmir_cli.wire.model import Preprocessing


@dataclass(frozen=True)
class Crop:
    """Where the view of a picture of a known size lies."""

    roi: tuple[float, float, float, float]  # left, top, width, height in the original's pixels
    image_size: tuple[int, int]  # width, height of the original

    def shown(self, size: int) -> tuple[slice, slice]:
        """The rows and columns of a view of that size whose middles lie on the picture."""
        columns, rows = (
            slice(_first_beyond(start, length, 0, size), _first_beyond(start, length, end, size))
            for start, length, end in zip(self.roi[:2], self.roi[2:], self.image_size, strict=True)
        )
        return rows, columns


def find_crop(recipe: Preprocessing, width: int, height: int) -> Crop:
    """What is seen of a picture of that size, as it is displayed: upright."""
    small = resized_size(recipe, width, height)
    left, top = crop_corner(recipe, *small)
    x_scale, y_scale = width / small[0], height / small[1]
    side = recipe.input_size
    roi = (left * x_scale, top * y_scale, side * x_scale, side * y_scale)
    return Crop(roi, (width, height))


def resized_size(recipe: Preprocessing, width: int, height: int) -> tuple[int, int]:
    """Width and height of a picture of that size once it is resized; never below a pixel."""
    if recipe.view == "squash":
        return recipe.resize, recipe.resize
    side = max(width, height) if recipe.view == "pad" else min(width, height)
    return max(1, recipe.resize * width // side), max(1, recipe.resize * height // side)


def crop_corner(recipe: Preprocessing, width: int, height: int) -> tuple[int, int]:
    """Left and top of the crop in a resized picture, as torchvision or as transformers has them."""
    whole = round if recipe.cut == "round" else int
    return whole((width - recipe.input_size) / 2), whole((height - recipe.input_size) / 2)


def _first_beyond(start: float, length: float, place: float, size: int) -> int:
    """The first of `size` pixels, tiling `length` from `start`, with its middle from `place` on."""
    return min(max(math.ceil((place - start) * size / length - 0.5), 0), size)
