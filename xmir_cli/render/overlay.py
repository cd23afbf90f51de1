"""A saliency map laid over the picture that it explains, where the network saw it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw

from xmir_cli.render.colormap import (
    COLORMAPS,
    choose_colormap,
    colors,
    is_diverging,
    scale,
)

CROP = (200, 200, 200)  # the colour of the frame of what the network saw
_ALPHA_START = 0.15
_LEVELS = 256  # of colour in a map that is drawn alone
_PALE = (40, 225)  # greys that black and white become under a map on a page
_MARGIN = 0.002  # share of the picture's side that a crop must leave out to be framed


@dataclass(frozen=True)
class Display:
    """How a map is drawn; never touches the map itself."""

    colormap: str = "auto"  # auto | one of COLORMAPS
    alpha: float = 0.6  # opacity of the largest absolute value
    start: float = (
        _ALPHA_START  # share of full colour below which the picture shines through undisturbed
    )

    def for_map(self, saliency: np.ndarray) -> str:
        """The colormap of this map."""
        return self.colormap if self.colormap in COLORMAPS else choose_colormap(saliency)


def overlay(
    picture: Image.Image,
    saliency: np.ndarray,
    roi: Sequence[float],
    display: Display,
    largest: float | None = None,
) -> Image.Image:
    """The picture at its own size, RGB, with the map [S, S] over the crop that the network saw.

    Args:
        picture: The original, mode L, RGB or F (0..255).
        saliency: The raw map; opacity grows with the absolute value, zero is transparent.
        roi: left, top, width, height of the crop in the picture's pixels; may reach beyond it.
        display: Colours and opacity.
        largest: The value of full colour; the map's own largest absolute value when None.
    """
    plain = to_rgb(picture)
    place = _visible(plain.size, roi)
    if place is None:
        return plain
    values = _resample(saliency, roi, place) / (largest or scale(saliency))
    under = np.asarray(plain.crop(place), dtype=np.float64)
    mixed = tint(under, values, replace(display, colormap=display.for_map(saliency)))
    drawn = plain.copy()
    drawn.paste(Image.fromarray(mixed), place[:2])
    draw_crop(drawn, roi)
    return drawn


def map_layer(saliency: np.ndarray, colormap: str, largest: float) -> Image.Image:
    """The map [H, W] alone, as `overlay` colours it with opacity 1: mode P, transparent at zero."""
    low = -1.0 if is_diverging(colormap) else 0.0
    levels = np.linspace(low, 1, _LEVELS)
    values = (saliency.astype(np.float64) / largest).clip(low, 1)
    numbers = np.rint((values - low) / (1 - low) * (_LEVELS - 1)).astype(np.uint8)
    drawn = Image.fromarray(numbers, "L")
    drawn.putpalette(colors(levels, colormap).tobytes())
    drawn.info["transparency"] = np.rint(255 * fade(np.abs(levels))).astype(np.uint8).tobytes()
    return drawn


def tint(under: np.ndarray, values: np.ndarray, display: Display) -> np.ndarray:
    """Greys or colours [H, W, 3] under values [H, W], 1 the full colour of a named colormap."""
    if not is_diverging(display.colormap):
        values = values.clip(min=0)
    over = colors(values, display.colormap)
    opacity = display.alpha * fade(np.abs(values), display.start)[:, :, None]
    mixed: np.ndarray = np.rint(under * (1 - opacity) + over * opacity).astype(np.uint8)
    return mixed


def underlay(picture: Image.Image) -> Image.Image:
    """A pale grey copy of an RGB picture, on which the colours of a map can be read.

    Black becomes a dark grey, as colours on black look black; white becomes a light grey.
    """
    low, high = _PALE
    greys = picture.convert("L").point([round(low + (high - low) * x / 255) for x in range(256)])
    return greys.convert("RGB")


def draw_crop(drawn: Image.Image, roi: Sequence[float]) -> None:
    """A thin line around the crop, drawn into an RGB picture, when it leaves out much of it."""
    place = _visible(drawn.size, roi)
    if place is not None:
        _frame(drawn, place)


def leaves_out(roi: Sequence[float], size: tuple[int, int]) -> bool:
    """Whether a crop leaves out a part of a picture of this size that is worth seeing."""
    left, top, width, height = roi
    spared = max(left, top, size[0] - left - width, size[1] - top - height)
    return spared > _MARGIN * max(size) + 1


def to_rgb(picture: Image.Image) -> Image.Image:
    """An 8-bit RGB copy without the source's metadata; mode F holds 0..255."""
    if picture.mode == "F":
        gray = np.rint(np.asarray(picture).clip(0, 255)).astype(np.uint8)
        return Image.fromarray(gray).convert("RGB")
    copy = Image.new("RGB", picture.size)
    copy.paste(picture.convert("RGB"))
    return copy


def fade(size: np.ndarray, start: float = _ALPHA_START) -> np.ndarray:
    """Opacity in [0, 1] of values in [0, 1]: rises smoothly from 0 at `start` to full at 1."""
    share = ((size - start) / (1 - start)).clip(0, 1)
    faded: np.ndarray = share * (2 - share)
    return faded


def _visible(size: tuple[int, int], roi: Sequence[float]) -> tuple[int, int, int, int] | None:
    """The crop within a picture of `size`, in whole pixels: left, top, right, bottom."""
    left, top, width, height = roi
    box = (
        max(0, round(left)),
        max(0, round(top)),
        min(size[0], round(left + width)),
        min(size[1], round(top + height)),
    )
    return box if box[2] > box[0] and box[3] > box[1] else None


def _resample(
    saliency: np.ndarray, roi: Sequence[float], place: tuple[int, int, int, int]
) -> np.ndarray:
    """The map's values [bottom - top, right - left] under the picture's pixels of `place`."""
    rows, columns = saliency.shape
    left, top, width, height = roi
    box = (
        max(0.0, (place[0] - left) * columns / width),
        max(0.0, (place[1] - top) * rows / height),
        min(float(columns), (place[2] - left) * columns / width),
        min(float(rows), (place[3] - top) * rows / height),
    )
    size = (place[2] - place[0], place[3] - place[1])
    image = Image.fromarray(saliency.astype(np.float32))
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR, box=box), dtype=np.float64)


def _frame(drawn: Image.Image, place: tuple[int, int, int, int]) -> None:
    """A thin line around the crop, when it leaves out a part of the picture worth seeing."""
    left, top, right, bottom = place
    width, height = drawn.size
    if leaves_out((left, top, right - left, bottom - top), drawn.size):
        line = max(1, round(max(width, height) / 500))
        ImageDraw.Draw(drawn).rectangle(
            (left, top, right - 1, bottom - 1), outline=CROP, width=line
        )
