"""One frame out of encapsulated pixel data, by its fragments; offset tables are not believed.

Source: DICOM PS3.5, A.4.
"""

import struct
from dataclasses import dataclass

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError
from xmir_cli.images.codestream import STARTS
from xmir_cli.images.runs import has_runs

ITEM = b"\xfe\xff\x00\xe0"
DELIMITER = b"\xfe\xff\xdd\xe0\0\0\0\0"
# tags that may stand behind the pixels, where their delimiter is missing: signatures, padding
_BEHIND = {b"\xfa\xff\xfa\xff", b"\xfc\xff\xfc\xff"}


@dataclass(frozen=True)
class Fragment:
    """Bytes between two items."""

    offset: int  # of its item, counted from the first fragment's
    data: memoryview

    @property
    def starts(self) -> bool:
        """Whether a JPEG of some kind or run-length data begins here."""
        head = bytes(self.data[:64])
        return head.startswith(STARTS) or has_runs(head)


def is_encapsulated(value: bytes) -> bool:
    """Whether pixel data is made of items, whatever the tags say."""
    end = 8 + int.from_bytes(value[4:8], "little")
    return value.startswith(ITEM) and (
        value[end : end + 4] in {ITEM, DELIMITER[:4], *_BEHIND} or len(value) <= end + 1
    )


def frame_of(value: bytes, index: int, frames: int, extended: bytes) -> tuple[bytes, str]:
    """Frame `index` of `frames`, from 0, and a word where an offset table is wrong.

    `extended` is the extended offset table, if any. Raises ItemError.
    """
    table, fragments = _split(value)
    starts = [each.offset for each in fragments if each.starts]
    told = table or list(struct.unpack(f"<{len(extended) // 8}Q", extended[: len(extended) & ~7]))
    if frames == 1 and len(starts) <= 1:
        begins = [0]
    elif len(starts) == frames and starts[0] == 0:
        begins = starts
    elif len(fragments) == frames:
        begins = [each.offset for each in fragments]
    elif len(set(told)) == len(told) == frames and {0, *told} <= {
        each.offset for each in fragments
    }:
        begins = sorted(told)
    else:
        found = len(starts) or len(fragments)
        raise ItemError(Cause.CONTRADICTORY, f"{found} frames in the pixels, {frames} in the tags")
    ends = [*begins[1:], len(value)]
    data = b"".join(each.data for each in fragments if begins[index] <= each.offset < ends[index])
    return data, "offset table ignored" if told and told != begins else ""


def _split(value: bytes) -> tuple[list[int], list[Fragment]]:
    """The basic offset table, and the fragments."""
    items = _items(memoryview(value))
    table: list[int] = []
    if items and not items[0].starts:  # else the table is missing
        first = bytes(items.pop(0).data)
        table = list(struct.unpack(f"<{len(first) // 4}I", first[: len(first) & ~3]))
    if not items:
        raise ItemError(Cause.NO_PIXELS, "the pixel data is empty")
    base = items[0].offset
    return table, [Fragment(each.offset - base, each.data) for each in items]


def _items(value: memoryview) -> list[Fragment]:
    found: list[Fragment] = []
    place = 0
    while place + 8 <= len(value):
        tag, length = struct.unpack_from("<4sI", value, place)
        if tag == DELIMITER[:4] or (found and tag in _BEHIND):
            break
        if tag != ITEM:
            raise ItemError(Cause.CORRUPT, "damaged fragments of pixels")
        if place + 8 + length > len(value):
            raise ItemError(Cause.TRUNCATED, "the file ends early")
        found.append(Fragment(place, value[place + 8 : place + 8 + length]))
        place += 8 + length
    return found
