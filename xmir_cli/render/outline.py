"""The outline of a mask on a picture, which hides nothing of what is inside."""

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
