"""Numbers of any type, as PNG and TIFF files store them, become grey in 0..255 or 8-bit colour."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError
from xmir_cli.images.window import apply_choice, find_limits, format_range, stretch

# The largest value of the scale that numbers of a type are taken to be on: the first that holds
# them all. No file has to say how many of its bits a detector uses, so the values decide.
_SCALES = {
    "u2": (4095, 65535),
    "i2": (255, 4095, 32767),
    "u": (255, 4095, 65535),
    "i": (255, 4095, 65535),
    "f": (1, 255, 4095, 65535),
}
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
    shown, done = _shown(samples, window)
    if samples.white_is_zero:
        shown = 255 - shown
    if samples.values.ndim == 3 and samples.values.shape[2] == 4:
        shown = (255 - shown[..., :3]) * ((255 - shown[..., 3:]) / np.float32(255))
        done.append("cmyk")
    if samples.alpha is not None:
        share = _share(samples, done)
        if share.min() < 1:
            done.append("alpha over black")
            if not samples.premultiplied:
                shown = shown * (share if shown.ndim == 2 else share[..., None])
    done += samples.done
    if shown.ndim == 2 and shown.dtype != np.uint8 and (samples.bits > 8 or _is_relative(window)):
        return Image.fromarray(shown.astype(np.float32, copy=False)), done
    if shown.dtype != np.uint8:
        shown = np.rint(shown).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(shown)), done


def _is_relative(window: str) -> bool:
    """Whether a window has no unit, so that it fits numbers of 8 bits, too."""
    return window == "minmax" or window.startswith("p")


def _shown(samples: Samples, window: str) -> tuple[np.ndarray, list[str]]:
    """0..255, uint8 where nothing is to be rounded, else float32, and what was done."""
    values = samples.values
    kind, grey = values.dtype.kind, values.ndim == 2
    if samples.bits <= 8 and kind == "u" and not (grey and _is_relative(window)):
        full = (1 << samples.bits) - 1
        return values if full == 255 else stretch(values, 0, full), []
    if kind == "f" and not np.isfinite(find_limits(values)).all():  # NaN passes on
        raise ItemError(Cause.BAD_VALUES, "NaN or infinite pixels")
    if window == "auto" or (samples.bits <= 8 and not _is_relative(window)):
        return _by_the_file(samples)
    there = values if samples.alpha is None else values[samples.alpha > 0]
    return apply_choice(values, there, window, whole=kind != "f")


def _by_the_file(samples: Samples) -> tuple[np.ndarray, list[str]]:
    """By the black and white that the file declares, or else that its values suggest."""
    values, declared = samples.values, samples.declared
    first, last = find_limits(values)
    if not np.isfinite(last - first):
        raise ItemError(Cause.BAD_VALUES, "pixels beyond all measure")
    if declared is not None and _holds(*declared, first, last, values.dtype.kind):
        (low, high), word = declared, " as declared"
    else:
        (low, high), word = _guess(values.dtype, first, last), ""
    done = [f"scaled from {format_range(low, high)}{word}"]
    if first < low or last > high:
        done.append("clipped")
    return stretch(values, low, high), done


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


def _share(samples: Samples, done: list[str]) -> np.ndarray:
    """How opaque each pixel is [H, W], in 0..1."""
    alpha = samples.alpha
    assert alpha is not None
    if alpha.dtype == np.bool_:
        return alpha.astype(np.float32)
    if alpha.dtype.kind == "f":
        full = _guess(alpha.dtype, 0.0, float(alpha.max()))[1]
    else:
        full = 2.0 ** (samples.bits - (alpha.dtype.kind == "i")) - 1
        # who stores 12 bits in 16 does so for all channels
        if samples.bits == 16 and any("0..4095" in word for word in done) and alpha.max() <= 4095:
            full = 4095.0
    return stretch(alpha, 0, full) / np.float32(255)
