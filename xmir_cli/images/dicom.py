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
from xmir_cli.images.codestream import check_frame
from xmir_cli.images.dicom_file import open_dicom
from xmir_cli.images.dicom_grey import to_grey
from xmir_cli.images.dicom_tags import columns_of, patient_key
from xmir_cli.images.picture import ImageFormat, Picture, Wanted
from xmir_cli.images.size import check_size

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_COLORS = {"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "YBR_PARTIAL_420"}
_PALETTE_LIMIT = 1 << 20  # bytes of a palette: 2^16 entries of 16 bits are 131 072


def _read(data: bytes, wanted: Wanted) -> Picture:
    """The picture, what was done, and the columns that its tags tell.

    Raises ItemError: no pixels, several frames and none named, no decoder, damaged.
    """
    dataset = open_dicom(data, with_patient=patient_key() is not None)
    limit = wanted.pixel_limit
    with _damage_named(limit):
        frame = _check(dataset, wanted.frame, limit)
        raw = _decode(dataset, frame - 1, limit)
        values, done = _shown(dataset, raw, frame - 1, wanted.window)
    image = Image.fromarray(values)
    return Picture(image, *image.size, tuple(done), columns_of(dataset))


def _count(data: bytes) -> int:
    """How many frames a file has."""
    dataset = open_dicom(data, with_patient=False)
    with _damage_named(0):
        return _frames(dataset)


@contextmanager
def _damage_named(pixel_limit: int) -> Iterator[None]:
    """Whatever goes wrong in the block becomes an ItemError."""
    try:
        yield
    except ItemError:
        raise
    except MemoryError:
        raise ItemError(Cause.TOO_LARGE, f"more than {pixel_limit} pixels") from None
    except Exception:  # noqa: BLE001 # a tag of the wrong kind can fail anywhere
        raise ItemError(Cause.CORRUPT, "damaged DICOM file") from None


def _frames(dataset: "FileDataset") -> int:
    return int(dataset.get("NumberOfFrames") or 1)


def _check(dataset: "FileDataset", frame: int | None, pixel_limit: int) -> int:
    """The frame to decode, from 1."""
    if not any(keyword in dataset for keyword in _PIXELS):
        raise ItemError(Cause.NO_PIXELS, "a DICOM file without an image")
    check_size(int(dataset.Columns), int(dataset.Rows), pixel_limit)
    frames = _frames(dataset)
    if frame is None and frames > 1:
        raise ItemError(Cause.MULTI_FRAME, f"{frames} frames; name one: FILE#frame=1")
    chosen = 1 if frame is None else frame
    if not 1 <= chosen <= frames:
        raise ItemError(Cause.BAD_FRAME, f"there is no frame {chosen}, only 1 to {frames}")
    return chosen


def _decode(dataset: "FileDataset", index: int, pixel_limit: int) -> np.ndarray:
    """Stored values [H, W] or [H, W, 3], colours as RGB."""
    from pydicom.pixels.decoders.base import get_decoder  # noqa: PLC0415 # an extra
    from pydicom.pixels.utils import pixel_array  # noqa: PLC0415

    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        name = syntax.name if syntax.is_transfer_syntax else "an unknown transfer syntax"
        raise ItemError(Cause.NO_DECODER, f"{name}") from None
    if syntax.is_compressed:
        if not decoder.is_available:
            raise ItemError(Cause.NO_DECODER, f"{syntax.name}; pip install 'xmir[dicom]'")
        check_frame(dataset, index, pixel_limit)
    try:
        return pixel_array(dataset, index=index)
    except (MemoryError, ItemError):
        raise
    except Exception:  # noqa: BLE001 # each codec has its own; their texts may quote the file
        raise _failure(dataset) from None


def _failure(dataset: "FileDataset") -> ItemError:
    """Truncated or corrupt, as far as the declared length tells."""
    from pydicom.pixels.utils import get_expected_length  # noqa: PLC0415 # an extra

    native = not dataset.file_meta.TransferSyntaxUID.is_compressed
    if native and "PixelData" in dataset:
        if len(dataset.PixelData) < get_expected_length(dataset):
            return ItemError(Cause.TRUNCATED, "the file ends early")
        return ItemError(Cause.CORRUPT, "damaged DICOM pixels")
    return ItemError(Cause.CORRUPT, f"damaged {dataset.file_meta.TransferSyntaxUID.name}")


def _shown(
    dataset: "FileDataset", raw: np.ndarray, index: int, window: str
) -> tuple[np.ndarray, list[str]]:
    kind = str(dataset.PhotometricInterpretation)
    if kind == "PALETTE COLOR":
        return _palette(dataset, raw), ["palette"]
    if kind in _COLORS and raw.ndim == 3:
        bits = int(dataset.BitsStored)
        return _to_8_bit(raw, bits), [] if bits == 8 else [f"scaled from {bits} bits"]
    if kind in {"MONOCHROME1", "MONOCHROME2"} and raw.ndim == 2:
        return to_grey(dataset, raw, index, window)
    raise ItemError(Cause.NO_DECODER, "a photometric interpretation that is not known")


def _palette(dataset: "FileDataset", raw: np.ndarray) -> np.ndarray:
    from pydicom.pixels.processing import apply_color_lut  # noqa: PLC0415 # an extra

    for name in ("Red", "Green", "Blue"):
        for prefix in ("", "Segmented"):
            table = dataset.get(f"{prefix}{name}PaletteColorLookupTableData") or b""
            if len(table) > _PALETTE_LIMIT:
                raise ItemError(Cause.CORRUPT, "damaged palette")
    colors = apply_color_lut(raw, dataset)[..., :3]
    bits = int(dataset.RedPaletteColorLookupTableDescriptor[2])
    # some write 16 for entries of 8 bits in 16, or the reverse: the values decide
    return _to_8_bit(colors, 16 if bits > 8 and colors.max() > 255 else 8)


def _to_8_bit(colors: np.ndarray, bits: int) -> np.ndarray:
    if bits == 8 and colors.dtype == np.uint8:
        return np.ascontiguousarray(colors)
    scaled = np.rint(colors.astype(np.float64) * (255 / (2.0**bits - 1)))
    return np.clip(scaled, 0, 255).astype(np.uint8)


def _recognises(data: bytes) -> bool:
    return data[128:132] == b"DICM"


DICOM = ImageFormat("DICOM", (".dcm", ".dicom"), _recognises, _count, _read)
