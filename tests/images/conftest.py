"""DICOM files made of arrays, faults and all."""

import io
import warnings
from collections.abc import Callable

import numpy as np
import pytest

Make = Callable[..., bytes]


@pytest.fixture
def dicom() -> Make:
    """A file of values [H, W] or [H, W, 3]: dicom(values, stream=..., drop=[...], Rows=3)."""
    pytest.importorskip("pydicom")
    return make_dicom


def make_dicom(
    values: np.ndarray,
    syntax: str = "1.2.840.10008.1.2.1",
    stream: bytes | None = None,
    drop: tuple[str, ...] = (),
    **tags: object,
) -> bytes:
    """12 bits in 16 or 8 in 8 unless the tags differ; `stream` is one compressed frame."""
    from pydicom.datadict import tag_for_keyword
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate

    meta, dataset = FileMetaDataset(), Dataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.file_meta = meta
    bits = 8 * values.dtype.itemsize
    stored = 12 if bits == 16 else bits
    given = tags.get("BitsStored", stored)
    tags = {
        "SamplesPerPixel": 3 if values.ndim > 2 else 1,
        "PhotometricInterpretation": "RGB" if values.ndim > 2 else "MONOCHROME2",
        **({"PlanarConfiguration": 0} if values.ndim > 2 else {}),
        "Rows": values.shape[0],
        "Columns": values.shape[1],
        "BitsAllocated": bits,
        "BitsStored": stored,
        "HighBit": (given if isinstance(given, int) else stored) - 1,
        "PixelRepresentation": int(values.dtype.kind == "i"),
        "PixelData": values.tobytes() if stream is None else encapsulate([stream]),
        **tags,
    }
    for keyword, value in tags.items():
        if isinstance(value, tuple):  # of a kind of its own
            dataset.add_new(tag_for_keyword(keyword), *value)
        else:
            setattr(dataset, keyword, value)
    dataset["PixelData"].VR = "OW" if bits == 16 and stream is None else "OB"
    dataset["PixelData"].is_undefined_length = stream is not None
    for keyword in drop:
        delattr(dataset, keyword)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
