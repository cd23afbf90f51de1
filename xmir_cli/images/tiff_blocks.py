"""The strips and tiles of a TIFF picture become an array of its numbers, as the file has them.

Source: TIFF 6.0, sections 3, 14 and 15; Adobe Photoshop TIFF technical note 3 (predictor 3).
"""

import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from struct import pack

import numpy as np
from PIL import Image

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError
from xmir_cli.images.tiff_directory import Directory, Tag
from xmir_cli.images.tiff_layout import Layout

_BYTES_LIMIT = 8  # a pixel that is allowed: so much of the sum of all may be decoded
_NONE, _DEFLATE, _DIFFERENCES, _FLOAT_DIFFERENCES = 1, {8, 32946}, 2, 3
_REVERSED = np.packbits(np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)[:, ::-1])


@dataclass(frozen=True)
class Blocks:
    """Strips or tiles of equal form, each `width` x `height` pixels; those at the edges overlap."""

    width: int
    height: int
    across: int
    down: int
    tiled: bool
    starts: Sequence[int]
    lengths: Sequence[int]


def read_samples(data: bytes, directory: Directory, layout: Layout, pixel_limit: int) -> np.ndarray:
    """Numbers [H, W, S] of a picture that Pillow is not needed for.

    Raises ItemError: cut, damaged, or more bytes than eight for each pixel that is allowed.
    """
    blocks = find_blocks(data, directory, layout)
    planes, each = (layout.samples, 1) if layout.planar else (1, layout.samples)
    row = -(-blocks.width * each * layout.bits // 8)  # bytes
    total = row * blocks.height * blocks.across * blocks.down * planes
    if total > _BYTES_LIMIT * pixel_limit:
        raise ItemError(Cause.TOO_LARGE, f"{total} bytes of pixels")
    count = blocks.across * blocks.down
    found = [
        _plane(data, directory, layout, blocks, range(start, start + count), row)
        for start in range(0, count * planes, count)
    ]
    return found[0] if len(found) == 1 else np.concatenate(found, axis=2)


def find_blocks(data: bytes, directory: Directory, layout: Layout) -> Blocks:
    """Where the strips or tiles lie; raises ItemError where they do not fit picture or file."""
    tiled = bool(directory.numbers(Tag.TILE_OFFSETS))
    if tiled:
        width, height = directory.whole(Tag.TILE_WIDTH), directory.whole(Tag.TILE_LENGTH)
        tags = Tag.TILE_OFFSETS, Tag.TILE_COUNTS
    else:
        width = layout.width
        height = min(directory.whole(Tag.ROWS_PER_STRIP, layout.height), layout.height)
        tags = Tag.STRIP_OFFSETS, Tag.STRIP_COUNTS
    if min(width, height) < 1:
        raise ItemError(Cause.CORRUPT, "damaged file")
    across, down = -(-layout.width // width), -(-layout.height // height)
    count = across * down * (layout.samples if layout.planar else 1)
    starts = [int(number) for number in directory.numbers(tags[0])]
    lengths = [int(number) for number in directory.numbers(tags[1])]
    if not lengths and len(starts) == count == 1:  # some old writers leave it out
        lengths = [len(data) - starts[0]]
    if len(starts) < count or len(lengths) < count:
        raise ItemError(Cause.CORRUPT, "fewer strips or tiles than the picture needs")
    starts, lengths = starts[:count], lengths[:count]
    if any(start + length > len(data) for start, length in zip(starts, lengths, strict=True)):
        raise ItemError(Cause.TRUNCATED, "the file ends early")
    return Blocks(width, height, across, down, tiled, starts, lengths)


def _plane(  # noqa: PLR0913 # where the bytes are, and what they mean
    data: bytes, directory: Directory, layout: Layout, blocks: Blocks, which: range, row: int
) -> np.ndarray:
    """Numbers [H, W, S] of the blocks `which`, whose rows have `row` bytes each."""
    rows = np.zeros((len(which) * blocks.height, row), np.uint8)
    # the last strip has only the rows that are left
    used = rows if blocks.tiled else rows[: layout.height]
    _fill(used, data, layout, blocks, which)
    each = 1 if layout.planar else layout.samples
    numbers = _to_numbers(rows, directory.order, layout, blocks.width, each)
    if blocks.across == 1:
        return numbers[: layout.height, : layout.width]
    tiles = numbers.reshape(blocks.down, blocks.across, blocks.height, blocks.width, each)
    grid = tiles.transpose(0, 2, 1, 3, 4).reshape(blocks.down * blocks.height, -1, each)
    return grid[: layout.height, : layout.width]


def _fill(rows: np.ndarray, data: bytes, layout: Layout, blocks: Blocks, which: range) -> None:
    """Put the decompressed bytes of the blocks into rows [N, B], one below the other."""
    parts = [memoryview(data)[blocks.starts[n] :][: blocks.lengths[n]] for n in which]
    if layout.compression not in {_NONE, *_DEFLATE}:
        rows[:] = _by_libtiff(parts, layout, blocks.height, rows.shape)
        return
    flat = rows.reshape(-1)
    size = blocks.height * rows.shape[1]
    for number, part in enumerate(parts):
        place = flat[number * size :][:size]
        stored = np.frombuffer(part, np.uint8)
        if layout.reversed_bits:
            stored = _REVERSED[stored]
        if layout.compression in _DEFLATE:
            stored = np.frombuffer(_inflate(stored.data, size), np.uint8)
        if len(stored) < len(place):
            raise ItemError(Cause.CORRUPT, "damaged file")
        place[:] = stored[: len(place)]


def _inflate(part: memoryview, size: int) -> bytes:
    """The bytes of a deflated block, at most `size`, checked by the sum behind them."""
    inflater = zlib.decompressobj()
    try:
        found = inflater.decompress(part, size)
        more = inflater.decompress(inflater.unconsumed_tail, 1)
    except zlib.error:
        found, more = b"", b"damage"
    if more:
        raise ItemError(Cause.CORRUPT, "damaged file")
    return found


def _by_libtiff(
    parts: Sequence[memoryview], layout: Layout, height: int, shape: tuple[int, int]
) -> np.ndarray:
    """The bytes [N, B] of blocks compressed as libtiff can: as strips of a picture of bytes."""
    lengths = [len(part) for part in parts]
    tags = {
        Tag.WIDTH: [shape[1]],
        Tag.LENGTH: [shape[0]],
        Tag.BITS: [8],
        Tag.COMPRESSION: [layout.compression],
        Tag.PHOTOMETRIC: [1],
        Tag.FILL_ORDER: [2 if layout.reversed_bits else 1],
        Tag.STRIP_OFFSETS: [*accumulate(lengths[:-1], initial=8)],
        Tag.SAMPLES: [1],
        Tag.ROWS_PER_STRIP: [height],
        Tag.STRIP_COUNTS: lengths,
    }
    end = 8 + sum(lengths)
    lists = end + 2 + 12 * len(tags) + 4
    entries, behind = b"", b""
    for tag, numbers in tags.items():
        packed = pack(f"<{len(numbers)}I", *numbers)
        inline = packed if len(numbers) == 1 else pack("<I", lists + len(behind))
        entries += pack("<HHI", tag, 4, len(numbers)) + inline
        behind += b"" if len(numbers) == 1 else packed
    file = io.BytesIO(
        b"".join(
            [b"II*\0", pack("<I", end), *parts, pack("<H", len(tags)), entries, bytes(4), behind]
        )
    )
    with Image.open(file, formats=["TIFF"]) as image:
        return np.asarray(image)


def _to_numbers(
    rows: np.ndarray, order: str, layout: Layout, width: int, samples: int
) -> np.ndarray:
    """Rows of bytes [N, B] as numbers [N, W, S] in the byte order of this machine."""
    if layout.predictor == _FLOAT_DIFFERENCES:
        return _undo_float_differences(rows, layout.bits // 8, samples, width)
    if layout.bits not in {8, 16, 32, 64}:
        numbers = _unpack(rows, layout.bits, order, width * samples)
    else:
        numbers = rows.view(f"{order}{layout.kind}{layout.bits // 8}")
        numbers = numbers.astype(numbers.dtype.newbyteorder("="), copy=False)
    numbers = numbers.reshape(len(rows), width, samples)
    if layout.predictor == _DIFFERENCES:
        whole = numbers.view(f"u{layout.bits // 8}")
        np.cumsum(whole, axis=1, dtype=whole.dtype, out=whole)
    return numbers


def _unpack(rows: np.ndarray, bits: int, order: str, count: int) -> np.ndarray:
    """Whole numbers [N, count] of any number of bits, the highest bit of a byte first."""
    if bits == 24:
        parts = rows.reshape(len(rows), count, 3).astype(np.uint32)
        low, middle, high = (parts[..., n] for n in ((0, 1, 2) if order == "<" else (2, 1, 0)))
        whole: np.ndarray = low | middle << 8 | high << 16
        return whole
    kind = np.dtype(np.uint8 if bits <= 8 else np.uint16)
    numbers = np.zeros((len(rows), count), kind)
    # a few rows at a time: every bit takes a byte on the way
    step = max(1, (1 << 24) // max(1, count * bits))
    for start in range(0, len(rows), step):
        flags = np.unpackbits(rows[start : start + step], axis=1, count=count * bits)
        flags = flags.reshape(-1, count, bits)
        for bit in range(bits):
            numbers[start : start + step] |= flags[..., bit].astype(kind) << (bits - 1 - bit)
    return numbers


def _undo_float_differences(rows: np.ndarray, size: int, samples: int, width: int) -> np.ndarray:
    """Numbers [N, W, S] whose bytes lie in planes, the highest first, each as differences."""
    steps = rows.reshape(len(rows), -1, samples)
    np.cumsum(steps, axis=1, dtype=np.uint8, out=steps)
    planes = rows.reshape(len(rows), size, -1).transpose(0, 2, 1)
    numbers = np.ascontiguousarray(planes).view(f">f{size}").astype(f"f{size}")
    return numbers.reshape(len(rows), width, samples)
