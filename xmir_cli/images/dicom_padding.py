"""Which pixels of a DICOM file are no image: its padding value, as writers really write it.

Source: DICOM PS3.3, C.7.5.1.1.2.
"""

from typing import TYPE_CHECKING

import numpy as np

from xmir_cli.images.dicom_layout import PixelLayout
from xmir_cli.images.dicom_numbers import read_numbers

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

_PREFIXES = {"FloatPixelData": "Float", "DoubleFloatPixelData": "DoubleFloat"}


def find_padding(
    dataset: "FileDataset", layout: PixelLayout, words: np.ndarray, values: np.ndarray
) -> np.ndarray | None:
    """Which of the stored values [H, W], decoded from words [H, W], are padding [H, W], if any.

    A value may be given in the other signedness, more than once, or as its whole word.
    """
    prefix = _PREFIXES.get(layout.keyword, "")
    numbers = [
        [number for number in read_numbers(dataset, f"{prefix}{name}") if number is not None]
        for name in ("PixelPaddingValue", "PixelPaddingRangeLimit")
    ]
    paddings, limits = numbers
    if not paddings:
        return None
    found = np.zeros(values.shape, bool)
    for padding in paddings:
        whole = _whole_words(padding, layout, words, values)
        if not limits and whole.any():
            found |= whole
            continue
        low = _as_stored(padding, layout, values)
        high = _as_stored(limits[0], layout, values) if limits else low
        found |= (values >= min(low, high)) & (values <= max(low, high))
    return found if found.any() else None


def _range(layout: PixelLayout, values: np.ndarray) -> tuple[int, int]:
    least = -(1 << (layout.stored - 1)) if values.dtype.kind == "i" else 0
    return least, least + (1 << layout.stored) - 1


def _whole_words(
    number: float, layout: PixelLayout, words: np.ndarray, values: np.ndarray
) -> np.ndarray:
    """Which words are a number that needs bits beyond those that are stored."""
    least, most = _range(layout, values)
    if layout.floating or number != int(number) or least <= number <= most:
        return np.zeros(values.shape, bool)
    found: np.ndarray = words == words.dtype.type(int(number) % (1 << layout.allocated))
    return found


def _as_stored(number: float, layout: PixelLayout, values: np.ndarray) -> float:
    """A number of either signedness as the pixels have it."""
    if layout.floating or number != int(number):
        return number
    least, most = _range(layout, values)
    for bits in (layout.allocated, layout.stored):
        turned = (int(number) - least) % (1 << bits) + least
        other = number < least if least == 0 else number > most
        if least <= turned <= most and (other or turned == number):
            return turned
    return number
