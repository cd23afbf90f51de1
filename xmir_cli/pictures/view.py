"""What a network sees of a picture: resized, cut to a square."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from xmir_cli.images.picture import Picture
from xmir_cli.pictures.crop import Crop, crop_corner, find_crop, resized_size
from xmir_cli.wire.model import INTERPOLATIONS, Preprocessing

SAMPLING = {name: Image.Resampling[name.upper()] for name in INTERPOLATIONS}


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
