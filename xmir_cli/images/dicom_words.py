"""Words of a DICOM frame become the values that they store: shifted, masked, signed.

Source: DICOM PS3.5, 8.1.1. Bits outside those that are stored may hold overlays.
"""

import numpy as np

from xmir_cli.images.codestream import Codestream
from xmir_cli.images.dicom_layout import PixelLayout, contradiction, missing


def to_values(
    words: np.ndarray, layout: PixelLayout, stream: Codestream | None
) -> tuple[np.ndarray, list[str]]:
    """The values of words [H, W] or [H, W, 3], and what was assumed of their bits.

    Raises ItemError where the tags contradict what the words hold.
    """
    if layout.floating or layout.allocated == 1:
        return words, []
    _check_shift(words, layout)
    inner = _bits(words, layout.shift, layout.stored)
    if stream is not None and stream.precision > layout.shift + layout.stored:
        _check_above(words, layout)
    if words.ndim > 2 or layout.photometric == "PALETTE COLOR":
        return inner, []
    signed, assumed = _is_signed(words, inner, layout, stream)
    done = [assumed] if assumed else []
    if stream is None and _has_more(words, inner, layout, signed):
        done.append(f"bits beyond the {layout.stored} stored left out")
    if not signed:
        return inner, done
    spare = 8 * inner.itemsize - layout.stored
    kind = np.dtype(f"i{inner.itemsize}")
    extended: np.ndarray = (inner << spare).astype(inner.dtype).view(kind) >> spare
    return extended, done


def _bits(words: np.ndarray, first: int, count: int) -> np.ndarray:
    words = words.astype(words.dtype.newbyteorder("="), copy=False)
    shifted = words >> first if first else words
    if first + count >= 8 * words.itemsize:
        return shifted
    masked: np.ndarray = shifted & words.dtype.type((1 << count) - 1)
    return masked


def _check_shift(words: np.ndarray, layout: PixelLayout) -> None:
    """Refuse values that lie at the bottom where the tags say that they do not."""
    if not layout.shift:
        return
    used = int(np.bitwise_or.reduce(words, axis=None))
    if used & ((1 << layout.shift) - 1) and not used >> layout.stored:
        high = layout.shift + layout.stored - 1
        raise contradiction(f"HighBit is {high}, and the values lie at the bottom")


def _check_above(words: np.ndarray, layout: PixelLayout) -> None:
    """Refuse samples of a codestream that need more bits than the tags say; raises ItemError.

    Bits that are all zeros or all ones extend a sign or mark padding.
    """
    above = words >> (layout.shift + layout.stored)
    full = words.dtype.type(~words.dtype.type(0)) >> (layout.shift + layout.stored)
    if not ((above == 0) | (above == full)).all():
        raise contradiction(f"{layout.stored} bits in the tags, and values beyond in its pixels")


def _is_signed(
    words: np.ndarray, inner: np.ndarray, layout: PixelLayout, stream: Codestream | None
) -> tuple[bool, str]:
    if stream is not None and stream.signed:
        return _as_coded(_sign(inner, layout), layout, stream)
    if layout.signed is not None:
        if layout.signed and layout.narrow and _sign(inner, layout).any():
            raise contradiction(f"signed values in the tags, {layout.stored} bits in its pixels")
        return layout.signed, ""
    sign = _sign(inner, layout)
    used = layout.shift + layout.stored
    spare = 8 * words.itemsize - used
    above = words >> used if spare else np.zeros_like(words)
    extended = np.where(sign, (1 << spare) - 1, 0)
    if not sign.any() or not above.any():
        if sign.any() and not spare and layout.stored > 8:
            raise missing("PixelRepresentation")  # nothing tells 40000 from -25536
        return False, "PixelRepresentation taken as 0"
    if (above == extended).all():
        return True, "PixelRepresentation taken as 1"
    raise missing("PixelRepresentation")


def _has_more(words: np.ndarray, inner: np.ndarray, layout: PixelLayout, signed: bool) -> bool:
    """Whether bits above those that are stored hold something: overlays, or too few are told."""
    used = layout.shift + layout.stored
    above = words >> used if used < 8 * words.itemsize else np.zeros(1, words.dtype)
    if not above.any():
        return False
    extended = (1 << (8 * words.itemsize - used)) - 1
    return not (signed and np.array_equal(above, _sign(inner, layout) * above.dtype.type(extended)))


def _sign(inner: np.ndarray, layout: PixelLayout) -> np.ndarray:
    """The highest bit [H, W] of those that are stored."""
    found: np.ndarray = inner >> (layout.stored - 1) != 0
    return found


def _as_coded(sign: np.ndarray, layout: PixelLayout, stream: Codestream) -> tuple[bool, str]:
    """JPEG 2000 says itself whether its samples are signed."""
    if layout.signed is None:
        return stream.signed, f"PixelRepresentation taken as {int(stream.signed)}"
    if layout.signed != stream.signed and sign.any():
        raise contradiction(f"unsigned values in the tags, signed in its {stream.kind}")
    return layout.signed, ""
