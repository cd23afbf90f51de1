"""Stored greys of a DICOM file become 0..255, black to white, as its window or the user's says."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError
from xmir_cli.images.dicom_layout import PixelLayout, contradiction
from xmir_cli.images.dicom_lut import read_table
from xmir_cli.images.dicom_numbers import read_one
from xmir_cli.images.dicom_voi import apply_voi, of_frame
from xmir_cli.images.window import apply_choice, stretch

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset


@dataclass(frozen=True)
class Stored:
    """The pixels of one frame."""

    values: np.ndarray  # [H, W] as stored
    padding: np.ndarray | None  # [H, W] which of them are no image
    index: int  # of the frame, from 0


def to_grey(
    dataset: "FileDataset", layout: PixelLayout, stored: Stored, window: str
) -> tuple[np.ndarray, list[str]]:
    """Greys [H, W] float32 in 0..255, and what was done.

    Order: modality table or rescale, VOI, MONOCHROME1 inverted, padding black.
    """
    values, modality = _to_modality(dataset, stored.values, stored.index)
    if not np.isfinite(values).all():
        raise ItemError(Cause.BAD_VALUES, "NaN or infinite pixels")
    grey, done = _apply(dataset, layout, stored, values, window)
    done = [*modality, *done]
    if layout.photometric == "MONOCHROME1":
        grey = 255 - grey
        done.append("inverted")
    if stored.padding is not None:
        grey[stored.padding] = 0
        done.append("padding black")
    return grey.astype(np.float32, copy=False), done


def _to_modality(
    dataset: "FileDataset", stored: np.ndarray, index: int
) -> tuple[np.ndarray, list[str]]:
    if tables := dataset.get("ModalityLUTSequence"):
        table = read_table(tables[0], dataset)
        return table.look_up(stored), ["modality table"]
    item = of_frame(dataset, index, "PixelValueTransformationSequence", "RescaleSlope")
    slope, intercept = read_one(item, "RescaleSlope"), read_one(item, "RescaleIntercept")
    if slope is None and intercept is None:
        return stored, []
    done = []
    if slope is None:
        slope, done = 1.0, ["RescaleSlope taken as 1"]
    if intercept is None:
        intercept, done = 0.0, ["RescaleIntercept taken as 0"]
    if slope == 0:
        raise ItemError(Cause.BAD_VALUES, "a rescale slope of 0")
    if (slope, intercept) == (1, 0):
        return stored, done
    # single precision holds values of 16 bits
    kind = np.float32 if stored.itemsize <= 2 else np.float64
    rescaled: np.ndarray = np.add(np.multiply(stored, slope, dtype=kind), intercept, dtype=kind)
    return rescaled, [*done, "rescaled"]


def _apply(
    dataset: "FileDataset",
    layout: PixelLayout,
    stored: Stored,
    values: np.ndarray,
    window: str,
) -> tuple[np.ndarray, list[str]]:
    done: list[str] = []
    shallow = layout.stored <= 8
    if window == "auto" or (shallow and window.startswith("bits:")):
        shown, done = apply_voi(dataset, values, stored.index)
        if shown is not None:
            if layout.narrow and shallow:  # the window is for the bits of the tags
                raise contradiction(
                    f"a window for more than the {layout.stored} bits in its pixels"
                )
            return shown, done
        table = dataset.get("ModalityLUTSequence")
        if shallow and values.dtype.kind == "u" and not table:
            return stretch(values, 0, 2**layout.stored - 1), done  # 8 bits are for the eye
        window = "minmax"
    image = values if stored.padding is None else values[~stored.padding]
    shown, chosen = apply_choice(values, image, window)
    return shown, [*done, *chosen]
