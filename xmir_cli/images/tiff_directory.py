"""The directories of a TIFF file: what each says of its picture, by allow-list and bounded.

Source: TIFF 6.0; the BigTIFF proposal of 2004 (8-byte offsets).
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError

Number = int | float


class Tag(IntEnum):
    """The tags that pixels need; others may name a patient and are passed over."""

    WIDTH = 256
    LENGTH = 257
    BITS = 258
    COMPRESSION = 259
    PHOTOMETRIC = 262
    FILL_ORDER = 266
    STRIP_OFFSETS = 273
    ORIENTATION = 274
    SAMPLES = 277
    ROWS_PER_STRIP = 278
    STRIP_COUNTS = 279
    MIN_VALUE = 280
    MAX_VALUE = 281
    PLANAR = 284
    PREDICTOR = 317
    COLOR_MAP = 320
    TILE_WIDTH = 322
    TILE_LENGTH = 323
    TILE_OFFSETS = 324
    TILE_COUNTS = 325
    INK_SET = 332
    EXTRA_SAMPLES = 338
    SAMPLE_FORMAT = 339
    S_MIN_VALUE = 340
    S_MAX_VALUE = 341
    SUBSAMPLING = 530


_NUMBERS_LIMIT = 1 << 21  # of a tag: 89 million pixels in tiles of 16 x 16 need 350,000
_KNOWN = {int(tag) for tag in Tag}
# letters of struct by the number of a type: BYTE, SHORT, LONG, SBYTE .. DOUBLE, IFD, LONG8 ..
_TYPES = {
    1: "B",
    3: "H",
    4: "I",
    6: "b",
    7: "B",
    8: "h",
    9: "i",
    11: "f",
    12: "d",
    13: "I",
    16: "Q",
    17: "q",
    18: "Q",
}


@dataclass(frozen=True)
class Directory:
    """What a TIFF file says of one of its pictures."""

    order: str  # of bytes, as struct and NumPy have it: < or >
    tags: Mapping[int, tuple[Number, ...]]

    def numbers(self, tag: Tag) -> tuple[Number, ...]:
        """All numbers of a tag; none where it is missing."""
        return self.tags.get(tag, ())

    def whole(self, tag: Tag, default: int | None = None) -> int:
        """The first number of a tag; raises ItemError for one that is missing without default."""
        found = self.tags.get(tag)
        if found:
            return int(found[0])
        if default is None:
            raise ItemError(Cause.MISSING_TAG, tag.name.replace("_", " ").title().replace(" ", ""))
        return default


def read_directory(data: bytes, frame: int, limit: int) -> Directory:
    """The directory of picture `frame`, from 1; of those after `limit` none is looked for.

    Raises ItemError: there are fewer, or one is damaged or beyond the end of the file.
    """
    for number, place in enumerate(_places(data), 1):
        if number == frame:
            return _read(data, place)
        if number == limit:
            break
    frames = count_directories(data, limit)
    if not frames:
        raise ItemError(Cause.CORRUPT, "damaged file")
    raise ItemError(Cause.BAD_FRAME, f"there is no frame {frame}, only 1 to {frames}")


def count_directories(data: bytes, limit: int) -> int:
    """How many pictures there are, up to a limit; the chain ends where it is damaged."""
    found = 0
    try:
        for _ in _places(data):
            found += 1
            if found == limit:
                break
    except ItemError:
        pass
    return found


def _form(data: bytes) -> tuple[str, bool]:
    """Byte order, and whether offsets have 8 bytes."""
    order = "<" if data[:2] == b"II" else ">"
    return order, struct.unpack_from(f"{order}H", data, 2)[0] == 43


def _places(data: bytes) -> Iterator[int]:
    """Where the directories lie, in the order of their chain; a circle ends it."""
    order, big = _form(data)
    offset, entries, size = ("Q", "Q", 20) if big else ("I", "H", 12)
    seen: set[int] = set()
    place = 8 if big else 4
    while True:
        (place,) = _unpack(data, f"{order}{offset}", place)
        if not place or place in seen:
            return
        (count,) = _unpack(data, f"{order}{entries}", place)
        seen.add(place)
        yield place
        place += struct.calcsize(f"<{entries}") + size * count


def _unpack(data: bytes, form: str, place: int) -> tuple[int, ...]:
    try:
        return struct.unpack_from(form, data, place)
    except (struct.error, OverflowError):
        raise ItemError(Cause.TRUNCATED, "the file ends early") from None


def _read(data: bytes, place: int) -> Directory:
    order, big = _form(data)
    (count,) = _unpack(data, f"{order}{'Q' if big else 'H'}", place)
    start, size, inline = (place + 8, 20, 8) if big else (place + 2, 12, 4)
    if start + size * count > len(data):
        raise ItemError(Cause.TRUNCATED, "the file ends early")
    tags: dict[int, tuple[Number, ...]] = {}
    for entry in range(start, start + size * count, size):
        tag, kind, length = _unpack(data, f"{order}HH{'Q' if big else 'I'}", entry)
        letter = _TYPES.get(kind)
        if tag not in _KNOWN or letter is None:
            continue
        where = entry + size - inline
        if struct.calcsize(f"<{letter}") * length > inline:
            (where,) = _unpack(data, f"{order}{'Q' if big else 'I'}", where)
        if length > _NUMBERS_LIMIT:
            raise ItemError(Cause.TOO_LARGE, f"a tag of {length} numbers")
        tags[tag] = _unpack(data, f"{order}{length}{letter}", where)
    return Directory(order, tags)
