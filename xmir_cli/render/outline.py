"""The outline of a mask on a picture, which hides nothing of what is inside."""

from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageChops, ImageFilter

OUTLINE = (0, 229, 255)  # a cyan that no map has; black beside it, so that it is seen on white


def draw_outline(picture: Image.Image, mask: np.ndarray) -> Image.Image:
    """A copy of an RGB picture with the outline of a mask [H, W], whatever its size."""
    whole = Image.fromarray(np.where(mask, 255, 0).astype(np.uint8))
    inside = whole.resize(picture.size, Image.Resampling.NEAREST)
    wide = 2 * max(1, round(max(picture.size) / 400)) + 1
    grown = inside.filter(ImageFilter.MaxFilter(wide))
    drawn = picture.copy()
    drawn.paste(
        (0, 0, 0), mask=ImageChops.difference(grown.filter(ImageFilter.MaxFilter(3)), grown)
    )
    drawn.paste(OUTLINE, mask=ImageChops.difference(grown, inside))
    return drawn


def outline_path(mask: np.ndarray, side: int) -> tuple[str, int, int]:
    """The outline of a mask [H, W] as a path of SVG, and the width and height of its plane.

    The longer side of the plane is at most `side`. Lines run between pixels.
    """
    height, width = mask.shape
    shrink = max(1.0, max(mask.shape) / side)
    size = max(1, round(width / shrink)), max(1, round(height / shrink))
    rows, columns = (
        ((np.arange(count) + 0.5) * whole / count).astype(int)
        for count, whole in ((size[1], height), (size[0], width))
    )
    inside = np.pad(mask[np.ix_(rows, columns)], 1)
    # between a row and the next, and between a column and the next
    flat = [f"M{x} {y}h{length}" for y, x, length in _runs(inside[1:] != inside[:-1])]
    steep = [f"M{x} {y}v{length}" for x, y, length in _runs((inside[:, 1:] != inside[:, :-1]).T)]
    return "".join([*flat, *steep]), *size


def _runs(edges: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """The line, start and length of each run of edges, without the margin."""
    turns = np.diff(np.pad(edges[:, 1:-1], ((0, 0), (1, 1))).astype(np.int8), axis=1)
    for line, start, end in zip(*np.nonzero(turns > 0), np.nonzero(turns < 0)[1], strict=True):
        yield int(line), int(start), int(end - start)
