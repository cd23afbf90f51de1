"""Colours of a DICOM file become 8-bit RGB: palettes, and three samples a pixel.

A codestream that says what its colours are is believed before the tags.
Source: DICOM PS3.3, C.7.6.3.1.2 and C.7.9; PS3.5, 8.2.
"""

from typing import TYPE_CHECKING

import numpy as np

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError
from xmir_cli.images.codestream import Codestream
from xmir_cli.images.dicom_layout import PixelLayout, contradiction, missing
from xmir_cli.images.dicom_lut import read_palette

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

_PALETTE_LIMIT = 1 << 20  # bytes of a palette: 2^16 entries of 16 bits are 131 072
_CHANNELS = ("Red", "Green", "Blue")
_DARK = 14  # bits: entries of 16 bits that use no more would be nearly black
_CODED = ("YBR_ICT", "YBR_RCT")  # what only JPEG 2000 makes, and turns back itself


def to_rgb(
    values: np.ndarray, layout: PixelLayout, stream: Codestream | None
) -> tuple[np.ndarray, list[str]]:
    """8-bit colours [H, W, 3] of values [H, W, 3], and what was done; raises ItemError."""
    kind, assumed = _colors(layout.photometric, stream)
    done = [assumed] if assumed else []
    if layout.stored != 8:
        done.append(f"scaled from {layout.stored} bits")
    colors = _to_8_bit(values, layout.stored)
    return (_from_ybr(colors, layout) if kind == "YBR" else colors), done


def from_palette(dataset: "FileDataset", indices: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """8-bit colours [H, W, 3] of indices [H, W], and what was done; raises ItemError."""
    if "SegmentedRedPaletteColorLookupTableData" in dataset:
        return _to_8_bit(_from_segments(dataset, indices), 16), ["palette"]
    tables = [read_palette(dataset, color) for color in _CHANNELS]
    colors = np.stack([table.look_up(indices) for table in tables], axis=-1)
    # some write 16 for entries of 8 or 12 bits, or the reverse: the entries decide
    used = max(table.bits for table in tables)
    bits = 8 if used <= 8 else used if used <= _DARK else 16
    return _to_8_bit(colors, bits), ["palette" if bits in {8, 16} else f"palette of {bits} bits"]


def _from_segments(dataset: "FileDataset", indices: np.ndarray) -> np.ndarray:
    """Colours of 16 bits [H, W, 3] of a palette that is written as runs and slopes."""
    from pydicom.pixels.processing import apply_color_lut  # noqa: PLC0415 # an extra

    for color in _CHANNELS:
        name = f"{color}PaletteColorLookupTable"
        if not dataset.get(f"{name}Descriptor"):
            raise missing(f"{name}Descriptor")
        data = dataset.get(f"Segmented{name}Data")
        if not data:
            raise missing(f"Segmented{name}Data")
        if len(data) > _PALETTE_LIMIT:
            raise ItemError(Cause.CORRUPT, "damaged palette")
    colors = apply_color_lut(indices, dataset)[..., :3]
    bits = int(dataset.RedPaletteColorLookupTableDescriptor[2])
    scale = 1 if bits > 8 and colors.max() > 255 else 257
    wide: np.ndarray = colors.astype(np.float64) * scale
    return wide


def _colors(photometric: str, stream: Codestream | None) -> tuple[str, str]:
    """RGB or YBR as the codec gives them, and a word where the tags say otherwise."""
    told = "RGB" if photometric == "RGB" else "YBR"
    if stream is None:
        if photometric in _CODED:
            raise contradiction(f"{photometric}, and no JPEG 2000")
        return told, ""
    if stream.kind in {"JPEG 2000", "HTJ2K"}:
        return _colors_2000(photometric, stream)
    if photometric in _CODED:
        raise contradiction(f"{photometric}, and a {stream.kind}")
    if stream.colors in {"", told}:
        alone = told == "RGB" and not stream.colors and not stream.lossless
        return told, "RGB by its tags alone" if alone else ""
    if stream.colors == "both" or stream.lossless:
        raise contradiction(f"{photometric}, and a {stream.kind} of other colours")
    return stream.colors, f"{stream.colors} by its {stream.kind}"


def _colors_2000(photometric: str, stream: Codestream) -> tuple[str, str]:
    if stream.transformed and photometric in {"YBR_FULL", "YBR_FULL_422"}:
        raise contradiction(f"{photometric}, and a {stream.kind} that makes RGB")
    if photometric in _CODED:
        if not stream.transformed:
            raise contradiction(f"{photometric}, and a {stream.kind} without that transform")
        return "RGB", ""
    if stream.transformed:
        return "RGB", f"RGB by its {stream.kind}"
    told = "RGB" if photometric == "RGB" else "YBR"
    if stream.colors not in {"", told}:
        raise contradiction(f"{photometric}, and a {stream.kind} of {stream.colors}")
    return told, ""


def _from_ybr(colors: np.ndarray, layout: PixelLayout) -> np.ndarray:
    from pydicom.pixels.processing import convert_color_space  # noqa: PLC0415 # an extra

    if layout.stored != 8:
        raise ItemError(Cause.NO_DECODER, f"YBR colours of {layout.stored} bits")
    converted: np.ndarray = convert_color_space(colors, "YBR_FULL", "RGB")
    return converted


def _to_8_bit(colors: np.ndarray, bits: int) -> np.ndarray:
    if bits == 8 and colors.dtype == np.uint8:
        return np.ascontiguousarray(colors)
    scaled = np.rint(colors.astype(np.float64) * (255 / (2.0**bits - 1)))
    return np.clip(scaled, 0, 255).astype(np.uint8)
