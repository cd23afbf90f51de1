"""Numbers of any type, as PNG and TIFF files store them, become grey in 0..255 or 8-bit colour."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError
from xmir_cli.images.window import Scale, choose_scale, find_limits, format_range, stretch

# The largest value of the scale that numbers of a type are taken to be on: the first that holds
# them all. No file has to say how many of its bits a detector uses, so the values decide.
_SCALES = {
    "u2": (4095, 65535),
    "i2": (255, 4095, 32767),
    "u": (255, 4095, 65535),
    "i": (255, 4095, 65535),
    "f": (1, 255, 4095, 65535),
}
_BAND = 1 << 20  # numbers that are put on their scale at once
_OVERSHOOT = 1 / 8  # of a scale, by which resampled fractions may leave it
_DARKEST = 1 / 16  # of a scale beyond 0..1 that fractions on it use


@dataclass(frozen=True, eq=False)
class Samples:
    """The numbers of a picture as its file has them."""

    values: np.ndarray  # [H, W], or [H, W, 3] of RGB, [H, W, 4] of CMYK
    bits: int  # that a number has: 12 in 16 are told by the values
    alpha: np.ndarray | None = None  # [H, W] of the type of the values, or booleans
    premultiplied: bool = False  # whether the values are multiplied with alpha already
    declared: tuple[float, float] | None = None  # black and white, where the file says them
    white_is_zero: bool = False
    done: tuple[str, ...] = ()  # on the way here


def to_image(samples: Samples, window: str) -> tuple[Image.Image, list[str]]:
    """Pixels in mode L, RGB or F, and what was done.

    8 bits and fewer are shown as they are, but for a window that depends on the values alone.
    Raises ItemError for values that are no finite numbers.
    """
    values, alpha = samples.values, samples.alpha
    show, done = _scale(samples, window)
    opaque = _find_opaque(samples, done)
    if values.ndim == 3 and values.shape[2] == 4:
        done.append("cmyk")
    if alpha is not None and alpha.min() < opaque:
        done.append("alpha over black")
    if show is None and not done and not samples.white_is_zero:
        return Image.fromarray(np.ascontiguousarray(values)), [*samples.done]
    unrounded = values.ndim == 2 and show is not None and (samples.bits > 8 or _is_relative(window))
    shape = values.shape if values.ndim == 2 else (*values.shape[:2], 3)
    shown = np.empty(shape, np.float32 if unrounded else np.uint8)
    # some rows at a time: on the way a number takes up to eight bytes
    step = max(1, _BAND // max(1, values[0].size))
    for start in range(0, len(values), step):
        rows = slice(start, start + step)
        band = values[rows].astype(np.float32) if show is None else show(values[rows])
        band = _finish(band, samples, None if alpha is None else alpha[rows], opaque)
        shown[rows] = band if unrounded else np.rint(band)
    return Image.fromarray(shown), [*done, *samples.done]


def _finish(
    band: np.ndarray, samples: Samples, alpha: np.ndarray | None, opaque: float
) -> np.ndarray:
    """Rows in 0..255 with what is no matter of scale: white, inks and transparency."""
    if samples.white_is_zero:
        band = 255 - band
    if band.ndim == 3 and band.shape[2] == 4:
        band = (255 - band[..., :3]) * ((255 - band[..., 3:]) / np.float32(255))
    if alpha is None or samples.premultiplied:
        return band
    share = stretch(alpha, 0, opaque) / np.float32(255)
    return band * (share if band.ndim == 2 else share[..., None])


def _is_relative(window: str) -> bool:
    """Whether a window has no unit, so that it fits numbers of 8 bits, too."""
    return window == "minmax" or window.startswith("p")


def _scale(samples: Samples, window: str) -> tuple[Scale | None, list[str]]:
    """How the values become 0..255, None for those that are, and what is said of it."""
    values = samples.values
    kind, grey = values.dtype.kind, values.ndim == 2
    if samples.bits <= 8 and kind == "u" and not (grey and _is_relative(window)):
        full = (1 << samples.bits) - 1
        return None if full == 255 else partial(stretch, low=0, high=full), []
    first, last = find_limits(values)
    if not np.isfinite([first, last]).all():  # NaN passes on
        raise ItemError(Cause.BAD_VALUES, "NaN or infinite pixels")
    if window == "auto" or (samples.bits <= 8 and not _is_relative(window)):
        return _by_the_file(samples, first, last)
    there = values if samples.alpha is None else values[samples.alpha > 0]
    return choose_scale(there, window, whole=kind != "f")


def _by_the_file(samples: Samples, first: float, last: float) -> tuple[Scale, list[str]]:
    """By the black and white that the file declares, or else that its values suggest."""
    kind, declared = samples.values.dtype, samples.declared
    if not np.isfinite(last - first):
        raise ItemError(Cause.BAD_VALUES, "pixels beyond all measure")
    if declared is not None and _holds(*declared, first, last, kind.kind):
        (low, high), word = declared, " as declared"
    else:
        (low, high), word = _guess(kind, first, last), ""
    done = [f"scaled from {format_range(low, high)}{word}"]
    if first < low or last > high:
        done.append("clipped")
    return partial(stretch, low=low, high=high), done


def _guess(kind: np.dtype, first: float, last: float) -> tuple[float, float]:
    """Black and white of numbers of a type from `first` to `last`; their limits for no scale."""
    if kind == np.int8:
        return -128, 127
    scales = _SCALES.get(f"{kind.kind}{kind.itemsize}") or _SCALES[kind.kind]
    for scale in scales:
        bright = kind.kind != "f" or scale == 1 or last >= scale * _DARKEST
        if bright and _holds(0, scale, first, last, kind.kind):
            return 0, scale
    return first, last


def _holds(low: float, high: float, first: float, last: float, kind: str) -> bool:
    """Whether a scale holds numbers from `first` to `last`; fractions may overshoot a little."""
    if not low < high:
        return False
    room = _OVERSHOOT * (min(last, high) - low) if kind == "f" else 0.0
    return low - room <= first and last <= high + _OVERSHOOT * (high - low) * (kind == "f")


def _find_opaque(samples: Samples, done: list[str]) -> float:
    """The value of alpha that hides nothing."""
    alpha = samples.alpha
    if alpha is None or alpha.dtype == np.bool_:
        return 1.0
    if alpha.dtype.kind == "f":
        return _guess(alpha.dtype, 0.0, float(alpha.max()))[1]
    # who stores 12 bits in 16 does so for all channels
    if samples.bits == 16 and any("0..4095" in word for word in done) and alpha.max() <= 4095:
        return 4095.0
    return 2.0 ** (samples.bits - (alpha.dtype.kind == "i")) - 1
