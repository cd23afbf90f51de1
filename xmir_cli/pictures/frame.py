"""Where the network looks: the crop of a resized picture, in pixels of the original."""

from dataclasses import dataclass

from xmir_cli.records import Preprocessing


@dataclass(frozen=True)
class Frame:
    """What the network sees of a picture of a known size."""

    roi: tuple[float, float, float, float]  # left, top, width, height in the original's pixels
    image_size: tuple[int, int]  # width, height of the original


def resized_size(recipe: Preprocessing, width: int, height: int) -> tuple[int, int]:
    """Width and height once the shorter side is as long as the recipe wants it."""
    short = min(width, height)
    return recipe.resize * width // short, recipe.resize * height // short


def crop_corner(recipe: Preprocessing, width: int, height: int) -> tuple[int, int]:
    """Left and top of the crop in a resized picture; the sizes and offsets are torchvision's."""
    return round((width - recipe.input_size) / 2), round((height - recipe.input_size) / 2)


def frame_of(recipe: Preprocessing, width: int, height: int) -> Frame:
    """The frame in a picture of that size, as it is displayed."""
    small = resized_size(recipe, width, height)
    left, top = crop_corner(recipe, *small)
    x_scale, y_scale = width / small[0], height / small[1]
    side = recipe.input_size
    roi = (left * x_scale, top * y_scale, side * x_scale, side * y_scale)
    return Frame(roi, (width, height))
