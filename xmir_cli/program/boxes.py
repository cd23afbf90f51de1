"""Boxes: rectangles of cells of a map."""

from torch import Tensor

Size = tuple[int, int]  # height, width in cells
Box = tuple[int, int, int, int]  # top, left, bottom, right in cells; bottom and right excluded


def full_box(size: Size) -> Box:
    """The box of all cells of a map."""
    return (0, 0, *size)


def count_cells(box: Box) -> int:
    """How many cells a box has."""
    return (box[2] - box[0]) * (box[3] - box[1])


def enclose(first: Box | None, second: Box | None) -> Box | None:
    """The smallest box that contains both. None is the box without cells."""
    if first is None or second is None:
        return first or second
    low = (min(first[0], second[0]), min(first[1], second[1]))
    return (*low, max(first[2], second[2]), max(first[3], second[3]))


def intersect(first: Box, second: Box) -> Box | None:
    """The cells that lie in both boxes."""
    top, left = max(first[0], second[0]), max(first[1], second[1])
    bottom, right = min(first[2], second[2]), min(first[3], second[3])
    return (top, left, bottom, right) if top < bottom and left < right else None


def scale_to_cells(box: Box, pixels: int, size: Size, margin: int) -> Box:
    """The cells of a map under a box of the image [pixels, pixels], and `margin` more each way."""
    (top, left, bottom, right), (height, width) = box, size
    return (
        max(0, top * height // pixels - margin),
        max(0, left * width // pixels - margin),
        min(height, -(-bottom * height // pixels) + margin),
        min(width, -(-right * width // pixels) + margin),
    )


def shift_into(box: Box, outer: Box) -> Box:
    """The box in the coordinates of an outer one that contains it."""
    top, left = outer[:2]
    return (box[0] - top, box[1] - left, box[2] - top, box[3] - left)


def crop(maps: Tensor, box: Box) -> Tensor:
    """The view of maps [B, C, H, W] that the box cuts out."""
    top, left, bottom, right = box
    return maps[:, :, top:bottom, left:right]
