"""Values of any range become 0..255: the VOI arithmetic of DICOM, and the windows users choose.

Source: DICOM PS3.3 2024e, C.11.2.1.2 (windows) and C.11.2.1.3 (functions).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

_EXACT = 1e15  # whole numbers below are told by all of their digits
_NARROWEST = 1e-30  # 255 divided by it is still a float32
Function = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]
Scale = Callable[[np.ndarray], np.ndarray]  # of values of any shape, to float32 in 0..255


@dataclass(frozen=True)
class Voi:
    """Which values are of interest: black and white lie about half a width from the centre."""

    center: float  # in modality units, such as HU
    width: float
    function: Function = "LINEAR"

    @property
    def usable(self) -> bool:
        """Whether the standard allows these numbers."""
        finite = np.isfinite(self.center) and np.isfinite(self.width)
        return bool(finite and self.width >= (1 if self.function == "LINEAR" else _NARROWEST))


def apply_window(values: np.ndarray, voi: Voi) -> np.ndarray:
    """Values [H, W] as float32 in 0..255 after a usable window."""
    if voi.function == "SIGMOID":
        exponent = np.clip(-4 * (values - voi.center) / voi.width, -80, 80)
        return (255 / (1 + np.exp(exponent))).astype(np.float32)
    # LINEAR counts whole grey steps: a width of 1 has nothing between black and white
    shift, less = (0.5, 1.0) if voi.function == "LINEAR" else (0.0, 0.0)
    center, width = voi.center - shift, voi.width - less
    low, high = center - width / 2, center + width / 2
    if width == 0:
        return np.where(values > low, np.float32(255), np.float32(0))
    return stretch(values, low, high)


def apply_choice(
    values: np.ndarray, image: np.ndarray, window: str
) -> tuple[np.ndarray, list[str]]:
    """Values as float32 in 0..255 by a window that was chosen, and what was done.

    Takes what `choose_scale` does.
    """
    scale, done = choose_scale(image, window)
    return scale(values), done


def choose_scale(image: np.ndarray, window: str, whole: bool = True) -> tuple[Scale, list[str]]:
    """How values become 0..255 by a window that was chosen, and what is said of it.

    Args:
        image: Those numbers [N], as stored or in modality units, that show something: their
            extremes and percentiles count.
        window: As `Preprocessing.window` has it, but auto.
        whole: Whether the numbers are grey steps, so that a width counts them as DICOM does.
    """
    done = []
    if window.startswith("bits:"):
        low, high = 0.0, 2.0 ** int(window[5:]) - 1
        first, last = find_limits(image)
        done = ["clipped"] if first < low or last > high else []
    elif window == "minmax":
        low, high = find_limits(image)
    elif window.startswith("p"):
        low, high = find_limits(image, *(float(part) for part in window[1:].split(",")))
    else:
        center, width = (float(part) for part in window.split(","))
        function: Function = "LINEAR" if whole and width >= 1 else "LINEAR_EXACT"
        voi = Voi(center, width, function)
        return partial(apply_window, voi=voi), [f"window {center:g},{width:g}"]
    return partial(stretch, low=low, high=high), [f"window {format_range(low, high)}", *done]


def stretch(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Values of any shape as float32, `low` at 0 and `high` at 255; all 0 when they are equal."""
    if not high - low >= _NARROWEST:
        return np.zeros(values.shape, np.float32)
    # float32 would blur the steps of large whole numbers
    large = values.dtype.itemsize > (2 if values.dtype.kind in "iu" else 4)
    scaled: np.ndarray = values.astype(np.float64 if large else np.float32)
    scaled -= low
    scaled *= 255 / (high - low)
    return np.clip(scaled, 0, 255, out=scaled).astype(np.float32, copy=False)


def format_range(low: float, high: float) -> str:
    """`0..4095`, `-0.5..1.25`: as it is said what became black and white."""
    return f"{_format(low)}..{_format(high)}"


def _format(number: float) -> str:
    whole = abs(number) < _EXACT and number == int(number)
    return f"{number:.0f}" if whole else f"{number:g}"


def find_limits(values: np.ndarray, low: float = 0, high: float = 100) -> tuple[float, float]:
    """Two percentiles of the values [N], by default the smallest and the largest; 0, 0 of none."""
    if not values.size:
        return 0.0, 0.0
    if (low, high) == (0, 100):
        return float(values.min()), float(values.max())
    first, second = np.percentile(values, [low, high])
    return float(first), float(second)
