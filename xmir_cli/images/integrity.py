"""Damage that a decoder would not tell: flipped bits in a PNG, and files that lack their end."""

import struct
import zlib

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError

_PIXEL_CHUNKS = {b"IHDR", b"PLTE", b"IDAT", b"tRNS"}
# TIFF tags of strips and tiles
_STARTS = (273, 324)
_LENGTHS = (279, 325)
_SHORT = 3  # a TIFF type; the other one used for these tags is LONG


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
            raise ItemError(Cause.CORRUPT, "damaged file (checksum)")
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
