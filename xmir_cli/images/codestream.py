"""What a compressed frame says of its own size, read before any codec takes memory or time for it.

Work is bounded, not time: the same files are left out on a slow machine as on a fast one.

Source: ITU-T T.81 (JPEG) B.2.2, T.800 (JPEG 2000) A.5.1, T.87 (JPEG-LS); DICOM PS3.5 annex G (RLE).
"""

import re
import struct
from typing import TYPE_CHECKING

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError
from xmir_cli.images.size import check_size

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

_RLE = "1.2.840.10008.1.2.5"
_START_2000 = b"\xff\x4f\xff\x51"  # SOC, SIZ
# a marker with a length; in entropy-coded data 0xFF is followed by 0, RSTn or fill bytes
_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")
_SCANS = 100  # of a progressive JPEG; honest encoders make a dozen, libtiff has the same limit
_NO_FRAME = {0xC4, 0xC8, 0xCC}  # markers in the range of the frame headers that are none


def check_frame(dataset: "FileDataset", index: int, pixel_limit: int) -> None:
    """Refuse a frame that decodes to far more than the data set announces; raises ItemError."""
    from pydicom.encaps import get_frame  # noqa: PLC0415 # an extra

    frames = int(dataset.get("NumberOfFrames") or 1)
    tables = dataset.get("ExtendedOffsetTable"), dataset.get("ExtendedOffsetTableLengths")
    offsets = (tables[0], tables[1]) if tables[0] and tables[1] else None
    frame = get_frame(dataset.PixelData, index, number_of_frames=frames, extended_offsets=offsets)
    if dataset.file_meta.TransferSyntaxUID == _RLE:
        pixels = int(dataset.Rows) * int(dataset.Columns) * int(dataset.SamplesPerPixel)
        announced = pixels * int(dataset.BitsAllocated) // 8
        if len(frame) > 2 * announced + 1024:  # runs expand up to 64 times
            raise ItemError(Cause.CORRUPT, "more run-length data than the image can hold")
        return
    check_scans(frame)
    width, height = frame_size(frame)
    if width and height:
        check_size(width, height, pixel_limit)


def check_scans(jpeg: bytes) -> None:
    """Refuse a JPEG that goes over all of its pixels again and again; raises ItemError.

    A scan of a dozen bytes can take a second to decode.
    """
    place, scans = 2, 0
    while (found := _MARKER.search(jpeg, place)) and found[1] != b"\xd9":
        scans += found[1] == b"\xda"
        if scans > _SCANS:
            raise ItemError(Cause.TOO_LARGE, f"more than {_SCANS} scans of one image")
        place = found.end() + int.from_bytes(jpeg[found.end() : found.end() + 2])


def frame_size(frame: bytes) -> tuple[int, int]:
    """Width and height that a JPEG, JPEG-LS or JPEG 2000 frame declares; 0, 0 when it does not."""
    place = frame.find(_START_2000, 0, 4096)
    try:
        if place >= 0:
            right, bottom, left, top = struct.unpack_from(">4I", frame, place + 8)
            return max(right - left, 0), max(bottom - top, 0)
        return _jpeg_size(frame)
    except struct.error:
        return 0, 0


def _jpeg_size(frame: bytes) -> tuple[int, int]:
    place = 2
    while True:
        mark, marker, length = struct.unpack_from(">BBH", frame, place)
        if mark != 0xFF:
            return 0, 0
        if marker == 0xFF:  # a fill byte
            place += 1
            continue
        if (0xC0 <= marker <= 0xCF and marker not in _NO_FRAME) or marker == 0xF7:
            height, width = struct.unpack_from(">HH", frame, place + 5)
            return width, height
        place += 2 + length
