"""What a network sees of a picture: resized, cut to a square; where that lies in the original."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from xmir_cli.images.picture import Picture
from xmir_cli.wire.model import INTERPOLATIONS, Preprocessing

SAMPLING = {name: Image.Resampling[name.upper()] for name in INTERPOLATIONS}


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


@dataclass(frozen=True)
class View:
    """The pixels of the crop, and where it lies in the original."""

    pixels: np.ndarray  # [S, S, 3] float32 in 0..255
    crop: Crop


def view_picture(picture: Picture, recipe: Preprocessing) -> View:
    """Resize, cut the square from the centre; where that is, `find_crop` says."""
    small, side = resize_picture(picture, recipe), recipe.input_size
    left, top = crop_corner(recipe, small.width, small.height)
    # outside the picture, where the square is larger than it, Pillow fills with zero: black
    crop = small.pixels.crop((left, top, left + side, top + side))
    return View(three_channels(crop), find_crop(recipe, picture.width, picture.height))


def resize_picture(picture: Picture, recipe: Preprocessing) -> Picture:
    """The whole picture, as large as the recipe wants it before the square is cut from it."""
    image = picture.pixels
    width, height = resized_size(recipe, picture.width, picture.height)
    if (width, height) != image.size:
        seen = (0, 0, picture.width / picture.reduction, picture.height / picture.reduction)
        image = image.resize((width, height), SAMPLING[recipe.interpolation], seen)
    return replace(picture, pixels=image, width=width, height=height)


def square_picture(picture: Picture) -> Image.Image:
    """The whole picture in the middle of a square, black beside it."""
    side = max(picture.width, picture.height)
    left, top = round((picture.width - side) / 2), round((picture.height - side) / 2)
    return picture.pixels.crop((left, top, left + side, top + side))


def to_input(view: View, recipe: Preprocessing) -> Tensor:
    """The view in model space: [3, S, S] float32 on the CPU."""
    # NumPy, not torch, whose own threads would get in the way of those that decode
    mean, std = np.array(recipe.mean, np.float32), np.array(recipe.std, np.float32)
    values = (view.pixels / np.float32(255) - mean) / std  # [S, S, 3]
    return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))


def three_channels(image: Image.Image) -> np.ndarray:
    """The values [H, W, 3] float32 of a grey or colour image."""
    pixels = np.asarray(image, dtype=np.float32)
    return pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, axis=2)


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


def find_crop(recipe: Preprocessing, width: int, height: int) -> Crop:
    """What is seen of a picture of that size, as it is displayed: upright."""
    small = resized_size(recipe, width, height)
    left, top = crop_corner(recipe, *small)
    x_scale, y_scale = width / small[0], height / small[1]
    side = recipe.input_size
    roi = (left * x_scale, top * y_scale, side * x_scale, side * y_scale)
    return Crop(roi, (width, height))
