"""What takes the place of hidden pixels, in model space."""

import re

import torch
from torch import Tensor
from torch.nn import functional

from xmir_cli.wire.model import Preprocessing

NAMES = ("gray", "black", "mean", "blur")
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")


def is_fill(name: str) -> bool:
    """Whether `name` is gray, black, mean, blur or a colour #RRGGBB."""
    return name in NAMES or _COLOR.fullmatch(name) is not None


def fill_image(name: str, image: Tensor, recipe: Preprocessing, sigma: float) -> Tensor:
    """The fill [3, S, S] for an image [3, S, S]; `sigma` is the width of a blur in pixels.

    gray: 0 in model space, the mean of the normalisation; mean: that of the image's channels.
    """
    if name == "blur":
        return _blur(image, sigma)
    if name == "mean":
        return image.mean(dim=(1, 2), keepdim=True).expand_as(image)
    if name == "gray":
        return torch.zeros_like(image)
    color = "#000000" if name == "black" else name
    values = torch.tensor([int(color[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    scaled = (values - torch.tensor(recipe.mean)) / torch.tensor(recipe.std)
    return scaled[:, None, None].expand_as(image)


def _blur(image: Tensor, sigma: float) -> Tensor:
    """A Gaussian blur with replicated borders, cut at three sigma."""
    radius = max(1, round(3 * sigma))
    place = torch.arange(-radius, radius + 1, dtype=image.dtype)
    kernel = torch.exp(-place.square() / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).expand(3, 1, 1, -1)
    padded = functional.pad(image[None], (radius,) * 4, mode="replicate")
    rows = functional.conv2d(padded, kernel, groups=3)
    return functional.conv2d(rows, kernel.transpose(2, 3), groups=3)[0]
