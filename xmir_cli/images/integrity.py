"""Damage that a decoder would not tell: flipped bits in a PNG, and files that lack their end."""

import struct
import zlib
from collections.abc import Iterator

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError

# of interlaced PNG: first row and column, steps between rows and columns
_PASSES = (
    *((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2)),
    *((0, 1, 2, 2), (1, 0, 2, 1)),
)
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by color type
_STEP = 1 << 20  # bytes that are inflated at once
_PIXEL_CHUNKS = {b"IHDR", b"PLTE", b"IDAT", b"tRNS", b"sBIT"}


def check_png(data: bytes) -> None:
    """Raise ItemError for a PNG with a flipped bit, that Pillow would decode to another picture.

    What decides pixels only: other chunks change none. Missing data is left to the decoder.
    """
    for kind, start, end in _chunks(data):
        expected = int.from_bytes(data[end : end + 4])
        if kind in _PIXEL_CHUNKS and zlib.crc32(memoryview(data)[start - 4 : end]) != expected:
            raise ItemError(Cause.CORRUPT, "damaged file (checksum)")


def check_png_rows(data: bytes) -> None:
    """Raise ItemError for a PNG whose pixels end early or in damage, that Pillow leaves black."""
    chunks = png_chunks(data)
    width, height, depth, color, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[b"IHDR"][0])
    missing = 0  # bytes
    for top, left, down, across in _PASSES if interlaced else ((0, 0, 1, 1),):
        rows, columns = -(-(height - top) // down), -(-(width - left) // across)
        if rows > 0 and columns > 0:
            missing += rows * (1 + -(-columns * depth * _SAMPLES[color] // 8))
    inflater = zlib.decompressobj()
    try:
        for part in chunks[b"IDAT"]:
            found = inflater.decompress(part, _STEP)
            while found and missing > 0:
                missing -= len(found)
                found = inflater.decompress(inflater.unconsumed_tail, _STEP)
            if missing <= 0:
                return
    except zlib.error:
        pass
    raise ItemError(Cause.CORRUPT, "damaged file")


def png_chunks(data: bytes) -> dict[bytes, list[memoryview]]:
    """The chunks of a PNG that decide its pixels, by kind."""
    found: dict[bytes, list[memoryview]] = {}
    for kind, start, end in _chunks(data):
        if kind in _PIXEL_CHUNKS:
            found.setdefault(kind, []).append(memoryview(data)[start:end])
    return found


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of each whole chunk before IEND."""
    place = 8
    while place + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        end = place + 8 + length
        if kind == b"IEND" or end + 4 > len(data):
            return
        yield kind, place + 8, end
        place = end + 4


def is_cut(data: bytes, kind: str) -> bool:
    """Whether a PNG or JPEG that could not be decoded lacks its end."""
    end = {"PNG": b"IEND", "JPEG": b"\xff\xd9"}.get(kind)
    return end is not None and end not in data[-1024:]
