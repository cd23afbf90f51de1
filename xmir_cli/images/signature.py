"""What a file is, told by its first bytes, and whether its end is missing."""

import struct
import zlib

from xmir_cli.errors import ItemError

_MAGIC = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
}
_PIXEL_CHUNKS = {b"IHDR", b"PLTE", b"IDAT", b"tRNS"}
# the first groups of a data set, in either byte order
_BARE = (b"\x02\0\0\0", b"\x02\0\x10\0", b"\x08\0\x05\0", b"\x08\0\0\0", b"\0\x08\0\x05")
# TIFF tags of strips and tiles
_STARTS = (273, 324)
_LENGTHS = (279, 325)
_SHORT = 3  # a TIFF type; the other one used for these tags is LONG


def kind_of(data: bytes) -> str:
    """PNG, JPEG, TIFF or DICOM; raises ItemError for anything else."""
    if not data:
        raise ItemError("empty: the file has no bytes")
    if data[128:132] == b"DICM":  # first: the 128 bytes before it may hold a TIFF header
        return "DICOM"
    for magic, kind in _MAGIC.items():
        if data.startswith(magic):
            return kind
    if any(magic.startswith(data) for magic in _MAGIC):
        raise ItemError("truncated: the file ends early")
    if data.startswith(_BARE):
        raise ItemError("not-an-image: DICOM without its preamble is not read")
    raise ItemError("not-an-image: expected PNG, JPEG, TIFF or DICOM")


def check_png(data: bytes) -> None:
    """Raise ItemError for a PNG with a flipped bit, that Pillow would decode to another picture.

    Pixels and palette only: other chunks change no pixel. Missing data is left to the decoder.
    """
    place = 8
    while place + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        end = place + 8 + length
        if kind == b"IEND" or end + 4 > len(data):
            return
        expected = int.from_bytes(data[end : end + 4])
        body = memoryview(data)[place + 4 : end]
        if kind in _PIXEL_CHUNKS and zlib.crc32(body) != expected:
            raise ItemError("corrupt: damaged file (checksum)")
        place = end + 4


def is_cut(data: bytes, kind: str) -> bool:
    """Whether a file that could not be decoded lacks its end, as far as its structure tells."""
    if kind == "PNG":
        return b"IEND" not in data[-1024:]
    if kind == "JPEG":
        return b"\xff\xd9" not in data[-1024:]
    return _tiff_is_cut(data)


def _tiff_is_cut(data: bytes) -> bool:
    """Whether the first directory or the last strip or tile reaches beyond the end."""
    order = "<" if data[:2] == b"II" else ">"
    try:
        (offset,) = struct.unpack_from(f"{order}I", data, 4)
        (count,) = struct.unpack_from(f"{order}H", data, offset)
        last = {}
        for place in range(offset + 2, offset + 2 + 12 * count, 12):
            (tag,) = struct.unpack_from(f"{order}H", data, place)
            if tag in _STARTS + _LENGTHS:
                last[tag] = _last_value(data, order, place)
    except struct.error:
        return True
    start = max(last.get(tag, 0) for tag in _STARTS)
    return start + max(last.get(tag, 0) for tag in _LENGTHS) > len(data)


def _last_value(data: bytes, order: str, place: int) -> int:
    """The last number of the TIFF directory entry at `place`."""
    kind, count, offset = struct.unpack_from(f"{order}HII", data, place + 2)
    letter, width = ("H", 2) if kind == _SHORT else ("I", 4)
    start = place + 8 if count * width <= 4 else offset
    value: int = struct.unpack_from(f"{order}{letter}", data, start + width * max(count - 1, 0))[0]
    return value
