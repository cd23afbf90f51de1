"""DICOM files are opened here, with nothing in them believed: bounded, and only by allow-list.

Tags that may name a patient are passed over by their length; their values never become objects.
"""

import io
import logging
import re
import warnings
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError
from xmir_cli.images.dicom_frames import DELIMITER
from xmir_cli.images.dicom_sequences import close_sequences

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

_PREAMBLE = 132  # bytes, with "DICM"
_DEFLATED, _EXPLICIT = b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.1"
DIRECTORY = b"1.2.840.10008.1.3.10"  # the class of a DICOMDIR
# bytes that a deflated file may grow to: so many, or so many times its own, but never more than is
# allowed for whole files
_INFLATED, _GROWTH, _INFLATED_LIMIT = 64 << 20, 100, 512 << 20
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
# the element of pixel data whose length is not said, in explicit or implicit VR
_OPEN_PIXELS = re.compile(rb"\xe0\x7f\x10\0(O[BW]\0\0)?\xff{4}\xfe\xff\0\xe0")
_SYNTAX = re.compile(rb"\x02\0\x10\0UI(..)", re.DOTALL)
_HEAD = 64 << 10  # bytes in which it stands
_PIXEL_TAG = b"\xe0\x7f\x10\0"
_PIXEL_TAGS = [
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "FloatPixelPaddingValue",
    "FloatPixelPaddingRangeLimit",
    "DoubleFloatPixelPaddingValue",
    "DoubleFloatPixelPaddingRangeLimit",
    "PixelPresentation",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "RescaleIntercept",
    "RescaleSlope",
    "ModalityLUTSequence",
    "VOILUTSequence",
    "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData",
    "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData",
    "SegmentedBluePaletteColorLookupTableData",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
    "PixelData",
    "FloatPixelData",
    "DoubleFloatPixelData",
]
_CARRIED_TAGS = ["Modality", "ViewPosition", "BurnedInAnnotation"]


def open_dicom(data: bytes, with_patient: bool, more: Sequence[str] = ()) -> "FileDataset":
    """The tags that pixels need and xmir carries, and `more`; PatientID only for a keyed hash.

    Raises ItemError when pydicom is missing, or when the file is damaged or inflates too far.
    """
    try:
        import pydicom  # noqa: PLC0415 # an extra, and 0.3 s that other images need not pay
        import pydicom.config  # noqa: PLC0415
    except ModuleNotFoundError:
        raise ItemError(
            Cause.NO_DECODER, "DICOM needs pydicom; pip install 'xmir[dicom]'"
        ) from None
    _silence()
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    tags = [*_PIXEL_TAGS, *_CARRIED_TAGS, *(["PatientID"] if with_patient else []), *more]
    plain = _inflate(data)
    dataset = _parse(plain, tags)
    if not _has_pixels(dataset) and _PIXEL_TAG in plain:
        # pydicom stops at a sequence without its end, or drops pixels without theirs
        ended = close_sequences(plain, _PREAMBLE)
        dataset = _parse(ended + DELIMITER if _OPEN_PIXELS.search(ended) else ended, tags)
    if not _has_pixels(dataset) and (syntax := _SYNTAX.search(plain[: _PREAMBLE + _HEAD])):
        # a transfer syntax of the other byte order, or none: pydicom finds it where nothing says it
        end = syntax.end() + int.from_bytes(syntax[1], "little")
        guessed = _parse(plain[: syntax.start()] + plain[end:], tags)
        dataset = guessed if _has_pixels(guessed) else dataset
    if dataset is None:
        raise ItemError(Cause.CORRUPT, "damaged DICOM file")
    return dataset


def _has_pixels(dataset: "FileDataset | None") -> bool:
    return dataset is not None and any(keyword in dataset for keyword in PIXELS)


def _parse(data: bytes, tags: list[str]) -> "FileDataset | None":
    import pydicom  # noqa: PLC0415 # an extra

    try:
        return pydicom.dcmread(io.BytesIO(data), specific_tags=list(tags))
    except Exception:  # noqa: BLE001 # RecursionError, MemoryError, struct.error and pydicom's own
        return None


def _silence() -> None:
    """Its warnings and its log quote the values of tags."""
    warnings.filterwarnings("ignore", module=r"pydicom|pylibjpeg|openjpeg|libjpeg")
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    logging.getLogger("pylibjpeg").setLevel(logging.CRITICAL + 1)


def _inflate(data: bytes) -> bytes:
    """The file with a deflated data set inflated up to a limit; pydicom itself knows none."""
    head = data[_PREAMBLE : _PREAMBLE + _HEAD]
    # group 2 is explicit VR, little endian: its length, then TransferSyntaxUID somewhere
    length = re.match(rb"\x02\0\0\0UL\x04\0(....)", head, re.DOTALL)
    syntax = _SYNTAX.search(head)
    if syntax is None or not head.startswith(_DEFLATED, syntax.end()):
        return data
    if length is None:
        raise ItemError(Cause.CORRUPT, "damaged DICOM file")
    end = _PREAMBLE + 12 + int.from_bytes(length[1], "little")
    value = _PREAMBLE + syntax.end()
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    limit = min(max(_INFLATED, _GROWTH * len(data)), _INFLATED_LIMIT)
    try:
        rest = inflater.decompress(memoryview(data)[end:], limit)
    except zlib.error:
        raise ItemError(Cause.CORRUPT, "damaged DICOM file") from None
    if inflater.unconsumed_tail:
        raise ItemError(Cause.TOO_LARGE, f"inflates to more than {limit} bytes")
    if not inflater.eof:
        raise ItemError(Cause.TRUNCATED, "the file ends early")
    plain = _EXPLICIT.ljust(len(_DEFLATED), b"\0")
    return data[:value] + plain + data[value + len(_DEFLATED) : end] + rest


def is_directory(dataset: "FileDataset") -> bool:
    """Whether it is a DICOMDIR, that lists the files of a medium."""
    return bool(dataset.file_meta.get("MediaStorageSOPClassUID") == DIRECTORY.decode())
