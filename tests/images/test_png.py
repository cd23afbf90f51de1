"""PNG of every kind, against numbers that are known: depth, alpha, transparent value, sBIT."""

import struct
import zlib
from collections.abc import Iterator

import numpy as np
import pytest

from xmir_cli.errors import ItemError
from xmir_cli.images.decode import decode_bytes
from xmir_cli.images.picture import Picture

H, W = 19, 26
RNG = np.random.default_rng(0)
SAMPLES = {0: 1, 2: 3, 4: 2, 6: 4}
PASSES = (  # of Adam7: first row and column, steps between them
    *((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2)),
    *((0, 1, 2, 2), (1, 0, 2, 1)),
)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def filtered(row: np.ndarray, above: np.ndarray, size: int, form: int) -> bytes:
    """A row of bytes after one of the five filters, as the specification has them."""
    left = np.concatenate([np.zeros(size, int), row[:-size]])
    corner = np.concatenate([np.zeros(size, int), above[:-size]])
    guess = left + above - corner
    a, b, c = (abs(guess - each) for each in (left, above, corner))
    paeth = np.where((a <= b) & (a <= c), left, np.where(b <= c, above, corner))
    predicted = [np.zeros_like(row), left, above, (left + above) // 2, paeth][form]
    return bytes([form]) + ((row - predicted) % 256).astype(np.uint8).tobytes()


def lines(values: np.ndarray, depth: int) -> Iterator[bytes]:
    """The rows of [H, W, S], filtered in turn by each of the five."""
    samples = values.shape[2]
    flags = values[..., None] >> np.arange(depth)[::-1] & 1
    rows = np.packbits(flags.reshape(len(values), -1).astype(np.uint8), axis=1).astype(int)
    above, size = np.zeros_like(rows[0]), max(1, samples * depth // 8)
    for number, row in enumerate(rows):
        yield filtered(row, above, size, number % 5)
        above = row


def png(
    values: np.ndarray, depth: int, color: int, *extra: bytes, interlaced: bool = False
) -> bytes:
    parts = [values[i::y, j::x] for i, j, y, x in PASSES] if interlaced else [values]
    stream = b"".join(line for part in parts if part.size for line in lines(part, depth))
    height, width = values.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced)
    packed = zlib.compress(stream)
    middle = len(packed) // 2
    data = chunk(b"IDAT", packed[:middle]) + chunk(b"IDAT", packed[middle:])
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + b"".join(extra) + data + chunk(b"IEND", b"")


def pixels(found: Picture) -> np.ndarray:
    return np.asarray(found.pixels).astype(float)


def noise(depth: int, color: int, top: int | None = None) -> np.ndarray:
    values = RNG.integers(0, (1 << depth) if top is None else top + 1, (H, W, SAMPLES[color]))
    values.flat[0] = (1 << depth) - 1 if top is None else top
    return values


@pytest.mark.parametrize(
    ("depth", "color"), [(d, c) for c in SAMPLES for d in (1, 2, 4, 8, 16) if c == 0 or d >= 8]
)
@pytest.mark.parametrize("interlaced", [False, True])
def test_every_depth_and_color_is_exact(depth: int, color: int, interlaced: bool):
    values = noise(depth, color)
    top = (1 << depth) - 1
    if color in {4, 6}:
        values[..., -1] = top
    picture = decode_bytes(png(values, depth, color, interlaced=interlaced))
    colors = 1 if color in {0, 4} else 3
    expected = values[..., :colors] * 255 / top
    assert np.abs(pixels(picture).reshape(H, W, colors) - expected).max() <= 0.501
    assert picture.done == (("scaled from 0..65535",) if depth == 16 else ())


@pytest.mark.parametrize("color", SAMPLES)
def test_twelve_bits_in_sixteen_use_the_whole_range_in_every_color(color: int):
    values = noise(16, color, 4095)
    for opaque in (4095, 65535):
        if color in {4, 6}:
            values[..., -1] = opaque
        picture = decode_bytes(png(values, 16, color))
        colors = 1 if color in {0, 4} else 3
        expected = values[..., :colors] * 255 / 4095
        assert picture.done == ("scaled from 0..4095",)
        assert np.abs(pixels(picture).reshape(H, W, colors) - expected).max() <= 0.501


@pytest.mark.parametrize("color", [4, 6])
def test_deep_alpha_is_over_black(color: int):
    values = noise(16, color)
    picture = decode_bytes(png(values, 16, color))
    assert picture.done == ("scaled from 0..65535", "alpha over black")
    expected = values[..., :-1] / 257 * (values[..., -1:] / 65535)
    assert np.abs(pixels(picture).reshape(expected.shape) - expected).max() <= 0.501


@pytest.mark.parametrize(
    ("depth", "color"), [(1, 0), (2, 0), (4, 0), (8, 0), (16, 0), (8, 2), (16, 2)]
)
def test_the_transparent_value_is_black_and_no_other(depth: int, color: int):
    values = noise(depth, color)
    key = values[3, 4]
    near = key.copy()
    near[-1] ^= 1  # in 16 bits the same high bytes
    values[5, :], values[6, :] = key, near
    picture = decode_bytes(png(values, depth, color, chunk(b"tRNS", key.astype(">u2").tobytes())))
    transparent = (values == key).all(axis=2)
    expected = np.where(transparent[..., None], 0, values * 255 / ((1 << depth) - 1))
    assert picture.done[-1] == "alpha over black"
    assert np.abs(pixels(picture).reshape(expected.shape) - expected).max() <= 0.501


@pytest.mark.parametrize("color", [0, 2])
@pytest.mark.parametrize("bits", [10, 12, 14])
def test_significant_bits_are_the_scale_of_numbers_stored_as_they_are(color: int, bits: int):
    values = noise(16, color, (1 << bits) - 1)
    said = chunk(b"sBIT", bytes([bits] * SAMPLES[color]))
    picture = decode_bytes(png(values, 16, color, said))
    assert picture.done == (f"scaled from 0..{(1 << bits) - 1} as declared",)
    expected = values * 255 / ((1 << bits) - 1)
    assert np.abs(pixels(picture).reshape(expected.shape) - expected).max() <= 0.501


@pytest.mark.parametrize("bits", [5, 10, 12])
@pytest.mark.parametrize("way", ["shifted", "repeated", "multiplied"])
def test_significant_bits_of_enlarged_numbers_do_not_enlarge_them_again(bits: int, way: str):
    top = (1 << bits) - 1
    few = RNG.integers(0, max(2, (top * top) >> 16), (H, W, 1))  # dark: would fit the small scale
    enlarged = {
        "shifted": few << (16 - bits),
        "repeated": few << (16 - bits) | few << 16 - bits >> bits | few << 16 - bits >> 2 * bits,
        "multiplied": np.rint(few * 65535 / top).astype(int),
    }[way]
    if bits == 5 and way == "repeated":
        enlarged |= few << 11 >> 15
    picture = decode_bytes(png(enlarged, 16, 0, chunk(b"sBIT", bytes([bits]))))
    assert picture.done == ("scaled from 0..65535 as declared",)
    assert np.abs(pixels(picture) - enlarged[..., 0] / 257).max() < 0.01


def test_all_sixteen_bits_may_be_said_to_be_significant():
    values = noise(16, 0, 4000)
    assert decode_bytes(png(values, 16, 0)).done == ("scaled from 0..4095",)
    said = decode_bytes(png(values, 16, 0, chunk(b"sBIT", bytes([16]))))
    assert said.done == ("scaled from 0..65535 as declared",)


def test_few_significant_bits_of_eight_are_read_too():
    values = noise(8, 0, 63)
    picture = decode_bytes(png(values, 8, 0, chunk(b"sBIT", bytes([6]))))
    assert picture.done == ("scaled from 0..63 as declared",)
    assert np.abs(pixels(picture) - values[..., 0] * 255 / 63).max() < 0.01
    shifted = decode_bytes(png(values << 2, 8, 0, chunk(b"sBIT", bytes([6]))))
    assert np.array_equal(pixels(shifted), values[..., 0] << 2)
    assert shifted.done == ()
    both = np.dstack([values, np.full_like(values, 51)])
    over = decode_bytes(png(both, 8, 4, chunk(b"sBIT", bytes([6, 8]))))
    assert np.abs(pixels(over) - values[..., 0] * 51 / 63).max() < 0.01


@pytest.mark.parametrize("kind", [b"tRNS", b"sBIT"])
def test_a_flipped_bit_in_what_decides_pixels_is_damage(kind: bytes):
    values = noise(16, 0)
    data = bytearray(png(values, 16, 0, chunk(kind, b"\x0c\x0c" if kind == b"tRNS" else b"\x0c")))
    data[data.index(kind) + 4] ^= 1
    with pytest.raises(ItemError, match=r"corrupt: damaged file .checksum."):
        decode_bytes(bytes(data))


@pytest.mark.parametrize("color", [2, 4, 6])
def test_deep_colors_that_are_cut_are_truncated(color: int):
    data = png(noise(16, color), 16, color)
    for percent in (30, 60, 95):
        with pytest.raises(ItemError, match=r"^truncated"):
            decode_bytes(data[: len(data) * percent // 100])


@pytest.mark.parametrize(("depth", "color"), [(8, 0), (16, 0), (8, 2), (16, 6), (1, 0)])
@pytest.mark.parametrize("interlaced", [False, True])
def test_rows_that_are_missing_are_damage_and_not_black(depth: int, color: int, interlaced: bool):
    values = noise(depth, color) | 1
    parts = [values[i::y, j::x] for i, j, y, x in PASSES] if interlaced else [values]
    rows = [line for part in parts for line in lines(part, depth)]
    whole = png(values, depth, color, interlaced=interlaced)
    decode_bytes(whole)
    head = whole[: whole.index(b"IDAT") - 4]
    for left in (0, 1, len(rows) // 2, len(rows) - 1):
        data = chunk(b"IDAT", zlib.compress(b"".join(rows[:left])))
        with pytest.raises(ItemError, match=r"^corrupt"):
            decode_bytes(head + data + chunk(b"IEND", b""))


def test_a_black_last_row_is_no_damage():
    values = noise(8, 0)
    values[-1] = 0
    assert np.array_equal(pixels(decode_bytes(png(values, 8, 0))), values[..., 0])
    values[:] = 0
    assert decode_bytes(png(values, 8, 0)).done == ()


def test_a_large_stream_that_is_no_deflate_is_damage():
    header = struct.pack(">IIBBBBB", 3000, 3000, 8, 0, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    for size in (100, 1 << 16, 1 << 20):
        data = start + chunk(b"IDAT", RNG.bytes(size)) + chunk(b"IEND", b"")
        with pytest.raises(ItemError, match=r"^corrupt"):
            decode_bytes(data)
