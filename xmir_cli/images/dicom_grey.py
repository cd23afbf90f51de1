"""Stored greys of a DICOM file become 0..255, black to white, as its window or the user's says."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError
from xmir_cli.images.window import Function, Voi, apply_choice, apply_window, stretch

if TYPE_CHECKING:
    from pydicom.dataset import Dataset, FileDataset

_FUNCTIONS: dict[str, Function] = {"LINEAR_EXACT": "LINEAR_EXACT", "SIGMOID": "SIGMOID"}


def to_grey(
    dataset: "FileDataset", raw: np.ndarray, index: int, window: str
) -> tuple[np.ndarray, list[str]]:
    """Greys [H, W] float32 in 0..255 of stored values [H, W], and what was done.

    Order: modality table or rescale, VOI, MONOCHROME1 inverted, padding black.
    """
    padding = _padding(dataset, raw)
    values, modality = _to_modality(dataset, raw, index)
    if not np.isfinite(values).all():
        raise ItemError(Cause.BAD_VALUES, "NaN or infinite pixels")
    grey, done = _apply(dataset, values, padding, index, window)
    if modality:
        done.insert(0, modality)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        grey = 255 - grey
        done.append("inverted")
    if padding.any():
        grey[padding] = 0
        done.append("padding black")
    return grey.astype(np.float32, copy=False), done


def _padding(dataset: "FileDataset", raw: np.ndarray) -> np.ndarray:
    """Which stored values are no image [H, W]."""
    value, limit = dataset.get("PixelPaddingValue"), dataset.get("PixelPaddingRangeLimit")
    if not isinstance(value, int):
        return np.zeros(raw.shape, bool)
    other = limit if isinstance(limit, int) else value
    return (raw >= min(value, other)) & (raw <= max(value, other))


def _to_modality(dataset: "FileDataset", raw: np.ndarray, index: int) -> tuple[np.ndarray, str]:
    if dataset.get("ModalityLUTSequence"):
        return _looked_up(dataset, dataset.ModalityLUTSequence[0], raw), "modality table"
    item = _of_frame(dataset, index, "PixelValueTransformationSequence", "RescaleSlope")
    if item is None or item.get("RescaleIntercept") is None:
        return raw, ""
    slope, intercept = float(item.RescaleSlope), float(item.RescaleIntercept)
    if slope == 0:
        raise ItemError(Cause.BAD_VALUES, "a rescale slope of 0")
    if (slope, intercept) == (1, 0):
        return raw, ""
    return raw.astype(np.float32) * np.float32(slope) + np.float32(intercept), "rescaled"


def _apply(
    dataset: "FileDataset", values: np.ndarray, padding: np.ndarray, index: int, window: str
) -> tuple[np.ndarray, list[str]]:
    shallow = window.startswith("bits:") and int(dataset.get("BitsStored") or 16) <= 8
    if window == "auto" or shallow:
        shown = _as_the_file_says(dataset, values, index)
        if shown is not None:
            return shown
        window = "minmax"
    return apply_choice(values, values[~padding], window)


def _as_the_file_says(
    dataset: "FileDataset", values: np.ndarray, index: int
) -> tuple[np.ndarray, list[str]] | None:
    """By its VOI table, its first window, or because 8 bits are for the eye; else None."""
    if dataset.get("VOILUTSequence"):
        item = dataset.VOILUTSequence[0]
        bits = int(item.LUTDescriptor[2])
        return stretch(_looked_up(dataset, item, values), 0, 2**bits - 1), ["VOI table"]
    voi = _voi(dataset, index)
    if voi is not None:
        function = "" if voi.function == "LINEAR" else f" {voi.function}"
        return apply_window(values, voi), [f"window {voi.center:g},{voi.width:g}{function}"]
    bits = int(dataset.get("BitsStored") or 64)
    if bits <= 8 and values.dtype == np.uint8:
        return stretch(values, 0, 2**bits - 1), []
    return None


def _looked_up(dataset: "FileDataset", item: "Dataset", values: np.ndarray) -> np.ndarray:
    """The table's entries for values [H, W]; those outside take the first or the last.

    pydicom's own apply_voi counts in the type of the entries: 8-bit tables begin again after 256.
    """
    entries, first, _ = (int(number) for number in item.LUTDescriptor)
    if first >= 1 << 15 and values.min() < 0:  # a signed number that was read as unsigned
        first -= 1 << 16
    data = item.LUTData
    if isinstance(data, bytes):
        wide = np.dtype("<u2" if dataset.original_encoding[1] else ">u2")
        packed = len(data) < 2 * (entries or 1 << 16)
        data = np.frombuffer(data, np.uint8 if packed else wide)
    table = np.asarray(data)[: entries or 1 << 16]
    places = np.clip(values.astype(np.int64) - first, 0, len(table) - 1)
    found: np.ndarray = table[places]
    return found


def _voi(dataset: "FileDataset", index: int) -> Voi | None:
    item = _of_frame(dataset, index, "FrameVOILUTSequence", "WindowCenter")
    if item is None or item.get("WindowWidth") is None:
        return None
    function = _FUNCTIONS.get(str(item.get("VOILUTFunction")).upper(), "LINEAR")
    voi = Voi(_first(item.WindowCenter), _first(item.WindowWidth), function)
    return voi if voi.usable else None


def _first(value: object) -> float:
    """A number, or the first of several: alternative views of the same image."""
    try:
        return float(value)  # type: ignore[arg-type] # a DSfloat
    except TypeError:
        return float(next(iter(value)))  # type: ignore[call-overload] # a MultiValue


def _of_frame(dataset: "FileDataset", index: int, sequence: str, keyword: str) -> "Dataset | None":
    """The data set that has `keyword` for this frame: of its own groups, the shared, the file."""
    for item in _groups(dataset, index):
        inner = item.get(sequence)
        if inner and inner[0].get(keyword) is not None:
            found: Dataset = inner[0]
            return found
    return dataset if dataset.get(keyword) is not None else None


def _groups(dataset: "FileDataset", index: int) -> "Iterator[Dataset]":
    own = dataset.get("PerFrameFunctionalGroupsSequence") or []
    if index < len(own):
        yield own[index]
    yield from (dataset.get("SharedFunctionalGroupsSequence") or [])[:1]
