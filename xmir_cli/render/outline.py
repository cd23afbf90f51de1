"""The outline of a mask on a picture, which hides nothing of what is inside."""

import numpy as np
from PIL import Image, ImageChops, ImageFilter

OUTLINE = (0, 229, 255)  # a cyan that no map has; black beside it, so that it is seen on white


def draw_outline(picture: Image.Image, mask: Image.Image) -> Image.Image:
    """A copy of an RGB picture with the outline of a mask of any size: what is above half is in."""
    grey = np.asarray(mask.convert("F").resize(picture.size, Image.Resampling.NEAREST))
    inside = Image.fromarray(np.where(grey > _half(mask), 255, 0).astype(np.uint8))
    wide = 2 * max(1, round(max(picture.size) / 400)) + 1
    grown = inside.filter(ImageFilter.MaxFilter(wide))
    drawn = picture.copy()
    drawn.paste(
        (0, 0, 0), mask=ImageChops.difference(grown.filter(ImageFilter.MaxFilter(3)), grown)
    )
    drawn.paste(OUTLINE, mask=ImageChops.difference(grown, inside))
    return drawn


def _half(mask: Image.Image) -> float:
    """Half of the largest value: masks are 0 and 1, or 0 and 255."""
    return float(np.asarray(mask.convert("F")).max(initial=0)) / 2
