"""Sequences of a DICOM file that are never closed are closed where they must end.

An item or a sequence of undefined length ends in a delimiter. Without it the next tag tells the
end: one that cannot be there, or that does not follow the last. Source: DICOM PS3.5, 7.5.
"""

import struct
from collections.abc import Iterator
from contextlib import suppress

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_PIXELS, _ICON = 0x7FE00010, 0x00880200
_LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
_UNDEFINED = 0xFFFFFFFF  # a length
_META = 0x0002  # the group before the data set, always explicit


def close_sequences(data: bytes, start: int) -> bytes:
    """A little-endian file, whose tags begin at `start`, with its delimiters as far as they go.

    Raises ItemError where nobody can tell where they belong.
    """
    ends: list[tuple[int, int]] = []
    with suppress(struct.error):  # the file ends early, or is none of tags
        ends.extend(_Walk(data).ends(start))
    parts, last = [], 0
    for place, tag in ends:
        parts += [data[last:place], struct.pack("<HHI", tag >> 16, tag & 0xFFFF, 0)]
        last = place
    return b"".join([*parts, data[last:]])


class _Walk:
    """A walk over the tags of a file, with what is open around them."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._implicit: bool | None = None  # nothing but the data set's first tag tells
        self._open: list[int] = []  # sequences by their tag, and items as _ITEM
        self._last = [0]  # the tag that was last, in the file and in each open item

    def ends(self, place: int) -> Iterator[tuple[int, int]]:
        """Where a delimiter is missing, and which; raises ItemError where that is not clear."""
        while True:
            tag = self._tag(place)
            missing = self._missing(tag)
            if missing:
                yield place, missing
                self._close()
            elif tag in {_ITEM_END, _SEQUENCE_END}:
                self._close()
                place += 8
            elif tag == _PIXELS and not self._open:
                return
            else:
                place = self._enter(tag, place)

    def _missing(self, tag: int) -> int:
        """The delimiter that has to stand before a tag; 0 for none."""
        if not self._open:
            return 0
        if self._open[-1] != _ITEM:
            return 0 if tag in {_ITEM, _SEQUENCE_END} else _SEQUENCE_END
        if tag in {_ITEM, _SEQUENCE_END} or (tag != _ITEM_END and tag <= self._last[-1]):
            return _ITEM_END
        if tag == _PIXELS and _ICON not in self._open:
            # the tags before it may be the item's, or the file's
            raise ItemError(Cause.MISSING_TAG, "SequenceDelimitationItem")
        return 0

    def _close(self) -> None:
        if self._open and self._open.pop() == _ITEM:
            self._last.pop()

    def _enter(self, tag: int, place: int) -> int:
        """The place behind a tag, or within it where its length is undefined."""
        begins, length = self._length(tag, place)
        if tag != _ITEM:
            self._last[-1] = tag
        if length != _UNDEFINED:
            return begins + length
        self._open.append(tag)
        if tag == _ITEM:
            self._last.append(0)
        return begins

    def _tag(self, place: int) -> int:
        group, element = struct.unpack_from("<HH", self._data, place)
        return int(group) << 16 | int(element)

    def _length(self, tag: int, place: int) -> tuple[int, int]:
        """Where a tag's value begins, and how long it is."""
        if self._implicit is None and tag >> 16 != _META:
            self._implicit = not self._data[place + 4 : place + 6].isalpha()
        if tag == _ITEM or (self._implicit and tag >> 16 != _META):
            return place + 8, int(struct.unpack_from("<I", self._data, place + 4)[0])
        if self._data[place + 4 : place + 6] in _LONG:
            return place + 12, int(struct.unpack_from("<I", self._data, place + 8)[0])
        return place + 8, int(struct.unpack_from("<H", self._data, place + 6)[0])
