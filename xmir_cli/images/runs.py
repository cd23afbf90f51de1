"""Run-length data of a DICOM frame, counted before it is decoded.

A decoder cuts what is too much, and an image of other sides comes out.

Source: DICOM PS3.5, annex G.
"""

import struct

import numpy as np

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError
from xmir_cli.images.dicom_layout import PixelLayout, contradiction

_SEGMENTS = 16  # of a header, its length counted
_NOTHING = 128  # a byte that stands for no run


def has_runs(data: bytes) -> bool:
    """Whether a frame begins as run-length data does: with the places of its segments."""
    if len(data) < 4 * _SEGMENTS:
        return False
    count, *places = struct.unpack_from(f"<{_SEGMENTS}I", data)
    told = places[:count]
    return (
        0 < count < _SEGMENTS
        and told[0] == 4 * _SEGMENTS
        and told == sorted(set(told))
        and not any(places[count:])
    )


def check_runs(data: bytes, layout: PixelLayout) -> None:
    """Refuse run-length data of other samples or sides, or far too much; raises ItemError."""
    if len(data) > 2 * layout.frame_bits // 8 + 1024:  # runs expand up to 64 times
        raise ItemError(Cause.CORRUPT, "more run-length data than the image can hold")
    planes = layout.samples * layout.allocated // 8
    try:
        segments, first = struct.unpack_from("<2I", data)
    except struct.error:
        raise ItemError(Cause.CORRUPT, "damaged RLE Lossless") from None
    if segments != planes:
        raise contradiction(f"{segments} planes of bytes, the tags announce {planes}")
    # the last plane: of 16 bits the lower, whose noise makes the longest runs
    last = struct.unpack_from("<I", data, 4 * segments)[0] if segments < _SEGMENTS else first
    _check_sides(*_ends(data[last:], layout.rows * layout.columns), layout)


def _ends(runs: bytes, limit: int) -> tuple[list[int], bytes]:
    """How many bytes a segment makes up to the end of each run, to a limit, and what is left."""
    place, total, end = 0, 0, len(runs)
    ends = []
    while place < end and total < limit:
        head = runs[place]
        if head == _NOTHING:
            place += 1
            continue
        if head < _NOTHING:
            total += head + 1
            place += head + 2
        else:
            total += 257 - head
            place += 2
        ends.append(total)
    return ends, runs[place:]


def _check_sides(ends: list[int], rest: bytes, layout: PixelLayout) -> None:
    """No run goes on in the next row: where some do, but none if sides are swapped, they are."""
    pixels, found = layout.rows * layout.columns, ends[-1] if ends else 0
    if found != pixels or rest.strip(b"\0"):
        word = "more" if found >= pixels else f"{found}"
        raise contradiction(f"{word} pixels in a plane, the tags announce {pixels}")
    if layout.rows != layout.columns:
        starts, lasts = np.array([0, *ends[:-1]]), np.array(ends) - 1
        crossing, swapped = (
            (starts // side != lasts // side).any() for side in (layout.columns, layout.rows)
        )
        if crossing and not swapped:
            sides = f"{layout.columns} x {layout.rows}"
            raise contradiction(f"{sides} pixels in the tags, and rows of another length")
