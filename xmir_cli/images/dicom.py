"""DICOM pixels become a picture as a viewer would show it: modality, VOI, then inversion.

Greys stay unrounded; colours become 8-bit RGB. Source: DICOM PS3.3, C.7.6.3, C.11.1 and C.11.2;
PS3.4, N.2 for the order.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError
from xmir_cli.images.codestream import check_scans
from xmir_cli.images.dicom_color import from_palette, to_rgb
from xmir_cli.images.dicom_decode import Frame, decode_frame, find_frame
from xmir_cli.images.dicom_file import PIXELS, is_directory, open_dicom
from xmir_cli.images.dicom_grey import Stored, to_grey
from xmir_cli.images.dicom_layout import PixelLayout, contradiction, layout_of, missing
from xmir_cli.images.dicom_numbers import read_whole
from xmir_cli.images.dicom_padding import find_padding
from xmir_cli.images.dicom_tags import columns_of, patient_key
from xmir_cli.images.dicom_words import to_values
from xmir_cli.images.picture import ImageFormat, Picture, Wanted
from xmir_cli.images.size import check_size

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset


def _read(data: bytes, wanted: Wanted) -> Picture:
    """The picture, what was done, and the columns that its tags tell.

    Raises ItemError: no pixels, several frames and none named, no decoder, a tag that is missing or
    contradicts another, damaged.
    """
    dataset = open_dicom(data, with_patient=patient_key() is not None)
    with damage_named(wanted.pixel_limit):
        keyword = _keyword(dataset)
        _check_tags(dataset, wanted.pixel_limit)
        frames = _frames(dataset)
        index = _check_index(wanted.frame, frames) - 1
        frame = find_frame(dataset, keyword, frames, index)
        _check_frame(frame, wanted.pixel_limit)
        layout = layout_of(dataset, keyword, frame.stream, frame.encapsulated)
        values, done = _shown(dataset, frame, layout, index, wanted.window)
    image = Image.fromarray(values)
    return Picture(image, *image.size, (*frame.done, *layout.done, *done), columns_of(dataset))


def _count(data: bytes) -> int:
    """How many frames a file has."""
    dataset = open_dicom(data, with_patient=False)
    with damage_named(0):
        return _frames(dataset)


@contextmanager
def damage_named(pixel_limit: int) -> Iterator[None]:
    """Whatever goes wrong in the block becomes an ItemError; NumPy warns of nothing."""
    try:
        with np.errstate(all="ignore"):  # a slope may be beyond all bounds
            yield
    except ItemError:
        raise
    except MemoryError:
        raise ItemError(Cause.TOO_LARGE, f"more than {pixel_limit} pixels") from None
    except Exception:  # noqa: BLE001 # a tag of the wrong kind can fail anywhere
        raise ItemError(Cause.CORRUPT, "damaged DICOM file") from None


def _keyword(dataset: "FileDataset") -> str:
    """The element that holds the pixels."""
    found = [keyword for keyword in PIXELS if keyword in dataset]
    if len(found) > 1:
        raise contradiction(f"both {found[0]} and {found[1]}")
    if not found:
        if is_directory(dataset):
            raise ItemError(Cause.NO_PIXELS, "a DICOMDIR only lists images; name its folder")
        meta = dataset.file_meta
        if meta and not dataset and not meta.get("TransferSyntaxUID"):
            raise missing("TransferSyntaxUID")  # it may be deflated
        raise ItemError(Cause.NO_PIXELS, "a DICOM file without an image")
    return found[0]


def _frames(dataset: "FileDataset") -> int:
    return max(read_whole(dataset, "NumberOfFrames") or 1, 1)


def _check_tags(dataset: "FileDataset", pixel_limit: int) -> None:
    """Refuse sizes that are too large before the pixels are looked at."""
    rows, columns = read_whole(dataset, "Rows"), read_whole(dataset, "Columns")
    if rows is not None and columns is not None:
        check_size(columns, rows, pixel_limit)


def _check_index(frame: int | None, frames: int) -> int:
    """The frame to decode, from 1."""
    if frame is None and frames > 1:
        raise ItemError(Cause.MULTI_FRAME, f"{frames} frames; name one: FILE#frame=1")
    chosen = 1 if frame is None else frame
    if not 1 <= chosen <= frames:
        raise ItemError(Cause.BAD_FRAME, f"there is no frame {chosen}, only 1 to {frames}")
    return chosen


def _check_frame(frame: Frame, pixel_limit: int) -> None:
    """Refuse a frame that decodes to far more than is allowed; raises ItemError."""
    if frame.stream is not None:
        check_scans(frame.data)
        if frame.stream.width and frame.stream.height:
            check_size(frame.stream.width, frame.stream.height, pixel_limit)


def _shown(
    dataset: "FileDataset", frame: Frame, layout: PixelLayout, index: int, window: str
) -> tuple[np.ndarray, list[str]]:
    pixel_vr = str(dataset.get_item(layout.keyword).VR or "OW")
    words = decode_frame(frame, layout, pixel_vr)
    values, assumed = to_values(words, layout, frame.stream)
    if layout.samples > 1:
        colors, done = to_rgb(values, layout, frame.stream)
    elif layout.photometric == "PALETTE COLOR":
        colors, done = from_palette(dataset, values)
    else:
        padding = find_padding(dataset, layout, words, values)
        colors, done = to_grey(dataset, layout, Stored(values, padding, index), window)
    return colors, [*assumed, *done]


def _recognises(data: bytes) -> bool:
    return data[128:132] == b"DICM"


DICOM = ImageFormat("DICOM", (".dcm", ".dicom"), _recognises, _count, _read)
