"""What a network sees of a picture: resized, cropped, and where that lies in the original."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from xmir_cli.images.picture import Picture
from xmir_cli.wire.model import Preprocessing

SAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@dataclass(frozen=True)
class Crop:
    """Where the view of a picture of a known size lies."""

    roi: tuple[float, float, float, float]  # left, top, width, height in the original's pixels
    image_size: tuple[int, int]  # width, height of the original


@dataclass(frozen=True)
class View:
    """The pixels of the crop, and where it lies in the original."""

    pixels: np.ndarray  # [S, S, 3] float32 in 0..255
    crop: Crop


def view_picture(picture: Picture, recipe: Preprocessing) -> View:
    """Resize the shorter side, crop the centre; where that is, `find_crop` says."""
    small, side = resize_picture(picture, recipe), recipe.input_size
    left, top = crop_corner(recipe, small.width, small.height)
    # outside the picture, where the crop is larger than it, Pillow fills with zero
    crop = small.pixels.crop((left, top, left + side, top + side))
    return View(three_channels(crop), find_crop(recipe, picture.width, picture.height))


def resize_picture(picture: Picture, recipe: Preprocessing) -> Picture:
    """The whole picture, its shorter side as long as the recipe wants it before the crop."""
    image = picture.pixels
    width, height = resized_size(recipe, picture.width, picture.height)
    if (width, height) != image.size:
        seen = (0, 0, picture.width / picture.reduction, picture.height / picture.reduction)
        image = image.resize((width, height), SAMPLING[recipe.interpolation], seen)
    return replace(picture, pixels=image, width=width, height=height)


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
    """Width and height once the shorter side is as long as the recipe wants it."""
    short = min(width, height)
    return recipe.resize * width // short, recipe.resize * height // short


def crop_corner(recipe: Preprocessing, width: int, height: int) -> tuple[int, int]:
    """Left and top of the crop in a resized picture; the sizes and offsets are torchvision's."""
    return round((width - recipe.input_size) / 2), round((height - recipe.input_size) / 2)


def find_crop(recipe: Preprocessing, width: int, height: int) -> Crop:
    """The crop in a picture of that size, as it is displayed."""
    small = resized_size(recipe, width, height)
    left, top = crop_corner(recipe, *small)
    x_scale, y_scale = width / small[0], height / small[1]
    side = recipe.input_size
    roi = (left * x_scale, top * y_scale, side * x_scale, side * y_scale)
    return Crop(roi, (width, height))
