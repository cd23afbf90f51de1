"""TIFF of every kind: the numbers are the file's, shown on the right scale, or refused by name."""

import io
import struct
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from PIL import Image

from xmir_cli.errors import ItemError
from xmir_cli.images.decode import count_pictures, decode_bytes
from xmir_cli.images.picture import Picture

H, W = 37, 53
RNG = np.random.default_rng(0)
G8 = RNG.integers(0, 256, (H, W)).astype(np.uint8)
RGB8 = RNG.integers(0, 256, (H, W, 3)).astype(np.uint8)
RATIONAL, SHORT, LONG = 5, 3, 4
LETTERS = {1: "B", 2: "s", 3: "H", 4: "I", 8: "h", 11: "f", 12: "d", 16: "Q"}


def tiff(
    tags: Mapping[int, Sequence[float]],
    blocks: Sequence[bytes],
    order: str = "<",
    big: bool = False,
    tiled: bool = False,
    types: Mapping[int, int] | None = None,
) -> bytes:
    """A TIFF file of these tags and strips or tiles, whose places are added."""
    entry, place, head = ("HHQ", "Q", 16) if big else ("HHI", "I", 8)
    starts = [head + sum(map(len, blocks[:n])) for n in range(len(blocks))]
    lengths = [len(block) for block in blocks]
    tags = {**tags, (324 if tiled else 273): starts, (325 if tiled else 279): lengths}
    end = head + sum(lengths)
    body = b"".join(blocks)
    lists = end + (8 if big else 2) + (20 if big else 12) * len(tags) + (8 if big else 4)
    entries, more = b"", b""
    for tag, numbers in sorted(tags.items()):
        kind = (types or {}).get(tag, LONG if tag in {273, 279, 324, 325} else SHORT)
        packed = struct.pack(f"{order}{len(numbers)}{LETTERS[kind]}", *numbers)
        inline = 8 if big else 4
        if len(packed) > inline:
            packed, more = struct.pack(order + place, lists + len(more)), more + packed
        entries += struct.pack(order + entry, tag, kind, len(numbers)) + packed.ljust(inline, b"\0")
    mark = b"II" if order == "<" else b"MM"
    version = (43, 8, 0, end) if big else (42, end)
    start = mark + struct.pack(order + ("HHHQ" if big else "HI"), *version)
    count = struct.pack(order + ("Q" if big else "H"), len(tags))
    return start + body + count + entries + bytes(8 if big else 4) + more


def tags_of(
    shape: tuple[int, ...], bits: int, form: int = 1, photometric: int = 1, **more: Sequence[float]
) -> dict[int, Sequence[float]]:
    samples = shape[2] if len(shape) == 3 else 1
    base = {256: [shape[1]], 257: [shape[0]], 258: [bits] * samples, 259: [1]}
    found = base | {262: [photometric], 277: [samples], 339: [form] * samples}
    return found | {int(name[1:]): numbers for name, numbers in more.items()}


def plain(values: np.ndarray, photometric: int = 1, **more: Sequence[float]) -> bytes:
    """Values [H, W] or [H, W, S] in one strip, not compressed."""
    form = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    tags = tags_of(values.shape, values.itemsize * 8, form, photometric, **more)
    return tiff(tags, [values.astype(values.dtype.newbyteorder("<")).tobytes()])


def pixels(found: Picture) -> np.ndarray:
    return np.asarray(found.pixels).astype(float)


def reason(data: bytes, name: str = "") -> str:
    with pytest.raises(ItemError) as caught:
        decode_bytes(data, name)
    return caught.value.reason


@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2", "u4", "i4", "f2", "f4", "f8"])
@pytest.mark.parametrize("form", ["grey", "rgb", "planes", "rgba"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_kind_that_tifffile_writes_has_its_numbers(kind: str, form: str, order: str):
    tifffile = pytest.importorskip("tifffile")
    shape = {"grey": (H, W), "planes": (3, H, W), "rgba": (H, W, 4)}.get(form, (H, W, 3))
    low, high = (0, 1) if kind[0] == "f" else (np.iinfo(kind).min, np.iinfo(kind).max)
    values = (low + RNG.random(shape) * (float(high) - float(low))).astype(kind)
    values.flat[:2] = low, high
    options: dict = {} if form == "grey" else {"photometric": "rgb"}
    if form == "planes":
        options["planarconfig"] = "separate"
    if form == "rgba":
        values[..., 3] = high if kind[0] != "f" else 1
    expected = (values.astype(float) - low) / (float(high) - float(low)) * 255
    if form != "grey":
        expected = np.moveaxis(expected, 0, 2) if form == "planes" else expected[..., :3]
    for more in ({}, {"tile": (16, 32)}, {"rowsperstrip": 5, "compression": "zlib"}):
        more = dict(more)
        if "compression" in more and kind[0] != "f":
            more["predictor"] = True
        for bigtiff in (False, True):
            file = io.BytesIO()
            tifffile.imwrite(file, values, byteorder=order, bigtiff=bigtiff, **options, **more)
            shown = decode_bytes(file.getvalue())
            assert shown.pixels.mode in {"L", "RGB", "F"}
            assert np.abs(pixels(shown) - expected).max() < 1


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 6, 7, 9, 10, 12, 14, 15])
@pytest.mark.parametrize("order", ["<", ">"])
def test_packed_bits_are_unpacked_and_on_their_own_scale(bits: int, order: str):
    values = RNG.integers(0, 1 << bits, (H, W))
    flags = (values[..., None] >> np.arange(bits)[::-1]) & 1  # the highest bit first
    rows = np.packbits(flags.reshape(H, -1).astype(np.uint8), axis=1)
    shown = decode_bytes(tiff(tags_of((H, W), bits), [rows.tobytes()], order))
    assert np.abs(pixels(shown) - values * 255 / ((1 << bits) - 1)).max() <= 0.5
    said = f"scaled from 0..{(1 << bits) - 1} as declared"
    assert shown.done == ((said,) if bits > 8 else ())
    # the same, each byte from its lowest bit
    turned = np.packbits(np.unpackbits(rows.reshape(-1, 1), axis=1)[:, ::-1], axis=1)
    other = tiff(tags_of((H, W), bits, t266=[2]), [turned.tobytes()], order)
    assert np.array_equal(pixels(decode_bytes(other)), pixels(shown))


def test_whole_numbers_of_24_bits_are_read_in_either_byte_order():
    values = RNG.integers(0, 1 << 24, (H, W)).astype(np.uint32)
    parts = values[..., None].astype("<u4").view(np.uint8)[..., :3]
    for order, stored in (("<", parts), (">", parts[..., ::-1])):
        shown = decode_bytes(tiff(tags_of((H, W), 24), [stored.tobytes()], order))
        assert np.abs(pixels(shown) - values * 255.0 / (2**24 - 1)).max() < 1e-3


def squeezed(rows: np.ndarray, compression: str) -> bytes:
    """Rows of bytes [N, B] in one strip as libtiff compresses them."""
    file = io.BytesIO()
    Image.fromarray(rows).save(file, "TIFF", compression=compression, tiffinfo={278: len(rows)})
    with Image.open(file) as image:
        (start,), (length,) = image.tag_v2[273], image.tag_v2[279]
    return file.getvalue()[start : start + length]


CODES = {"tiff_lzw": 5, "packbits": 32773, "tiff_adobe_deflate": 8, "tiff_deflate": 32946}


@pytest.mark.parametrize("compression", [*CODES, "zstd", "lzma"])
def test_compressed_numbers_are_read(compression: str):
    values = RNG.integers(0, 65536, (H, W, 3)).astype(np.uint16)
    try:
        strip = squeezed(values.reshape(H, -1).view(np.uint8), compression)
    except OSError:
        pytest.skip("this libtiff cannot write it")
    code = CODES.get(compression) or {"zstd": 50000, "lzma": 34925}[compression]
    shown = decode_bytes(tiff(tags_of((H, W, 3), 16, 1, 2, t259=[code]), [strip]))
    assert np.abs(pixels(shown) - values / 257).max() < 1
    half = len(strip) // 2
    assert reason(tiff(tags_of((H, W, 3), 16, 1, 2, t259=[code]), [strip[:half]])) == (
        "corrupt: damaged file"
    )


@pytest.mark.parametrize("kind", ["u1", "u2", "u4", "i2", "f4"])
@pytest.mark.parametrize("samples", [1, 3])
def test_differences_along_a_row_are_added_up(kind: str, samples: int):
    values = (RNG.random((H, W, samples)) * 200).astype(kind)
    whole = values.view(f"u{values.itemsize}")
    steps = np.diff(whole, axis=1, prepend=np.zeros_like(whole[:, :1]))
    form = {"u": 1, "i": 2, "f": 3}[kind[0]]
    tags = tags_of(values.shape, values.itemsize * 8, form, 1 if samples == 1 else 2)
    strip = squeezed(np.ascontiguousarray(steps).reshape(H, -1).view(np.uint8), "tiff_lzw")
    shown = decode_bytes(tiff(tags | {259: [5], 317: [2]}, [strip]))
    same = decode_bytes(plain(values, 1 if samples == 1 else 2))
    assert np.array_equal(pixels(shown), pixels(same))


@pytest.mark.parametrize("kind", ["f2", "f4", "f8"])
@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("order", ["<", ">"])
def test_differences_of_floating_point_bytes_are_added_up(kind: str, samples: int, order: str):
    values = RNG.random((H, W, samples)).astype(kind)
    size = values.itemsize
    # the bytes of a row in planes, the highest first, then their differences
    planes = values.astype(f">{kind}").view(np.uint8).reshape(H, W * samples, size)
    planes = planes.transpose(0, 2, 1).reshape(H, -1, samples)
    steps = np.diff(planes, axis=1, prepend=np.zeros_like(planes[:, :1])).reshape(H, -1)
    tags = tags_of(values.shape, size * 8, 3, 1 if samples == 1 else 2)
    strip = squeezed(np.ascontiguousarray(steps), "tiff_lzw")
    shown = decode_bytes(tiff(tags | {259: [5], 317: [3]}, [strip], order))
    assert shown.done == ("scaled from 0..1",)
    assert np.abs(pixels(shown) - values.squeeze().astype(float) * 255).max() < 0.6


@pytest.mark.parametrize(
    ("values", "shown", "done"),
    [
        (G8.astype("u4") * 16843009, G8, "scaled from 0..4294967295"),
        (G8.astype("u2") * 16, G8 * 16.0 / 4095 * 255, "scaled from 0..4095"),
        (G8.astype("i1"), (G8.astype("i1") + 128.0), "scaled from -128..127"),
        (G8.astype("i2") * 128, G8 * 128.0 / 32767 * 255, "scaled from 0..32767"),
        (G8.astype("i2") - 1024, G8, "scaled from -1024..-769"),
        (G8 / 255, G8, "scaled from 0..1"),
        (G8.astype("f2"), G8, "scaled from 0..255"),
        (G8 / 255 * 4.0, G8, "scaled from 0..4"),  # not 64 times darker on 0..255
        (G8 * 1e300, G8, "scaled from 0..2.55e+302"),
    ],
)
def test_numbers_are_on_the_scale_that_they_suggest(values, shown, done):
    picture = decode_bytes(plain(values))
    assert picture.done == (done,)
    assert np.abs(pixels(picture) - shown).max() < 0.6


def test_fractions_may_overshoot_a_little():
    for scale in (1, 255, 4095, 65535):
        values = (G8 / 255 * 1.1 - 0.05) * scale
        picture = decode_bytes(plain(values.astype("f4")))
        assert picture.done == (f"scaled from 0..{scale}", "clipped")
        assert np.abs(pixels(picture) - np.clip(values / scale * 255, 0, 255)).max() < 0.1
    assert decode_bytes(plain(G8 / 255 * 1.2)).done == ("scaled from 0..1.2",)
    assert decode_bytes(plain(G8 / 255 - 0.3)).done == ("scaled from -0.3..0.7",)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("window", ["auto", "minmax", "bits:12", "0.5,1"])
def test_numbers_that_are_none_are_refused(value: float, window: str):
    values = G8 / 255
    values[3, 3] = value
    with pytest.raises(ItemError, match="bad-values: NaN or infinite pixels"):
        decode_bytes(plain(values), "", window)


def test_a_constant_picture_is_black_or_what_it_is():
    assert pixels(decode_bytes(plain(np.full((4, 4), 9.0)))).max() == 0
    assert pixels(decode_bytes(plain(np.full((4, 4), 0.5)))).max() == 127.5
    assert pixels(decode_bytes(plain(np.full((4, 4), 4095, "u2")))).min() == 255


def test_the_scale_that_a_file_declares_is_taken():
    deep = G8.astype("u2") * 64  # 14 bits
    done = ("scaled from 0..16383 as declared",)
    picture = decode_bytes(plain(deep, t281=[16383]))
    assert picture.done == done
    assert np.abs(pixels(picture) - deep * (255 / 16383)).max() < 1e-3
    assert decode_bytes(plain(G8.astype("u2"), t281=[65535])).done == (
        "scaled from 0..65535 as declared",
    )
    assert decode_bytes(plain(deep, t280=[64], t281=[999])).done == ("scaled from 0..65535",)
    floats = tags_of((H, W), 32, 3, t340=[-1], t341=[3])
    strip = (G8 / 255).astype("f4").tobytes()
    picture = decode_bytes(tiff(floats, [strip], types={340: 11, 341: 11}))
    assert picture.done == ("scaled from -1..3 as declared",)
    assert np.abs(pixels(picture) - (G8 / 255 + 1) / 4 * 255).max() < 1e-3
    # eight bits are for the eye: the tag is a statistic there
    assert np.array_equal(pixels(decode_bytes(plain(G8 // 2, t281=[127]))), G8 // 2)


@pytest.mark.parametrize(
    ("window", "low", "high", "done"),
    [
        ("bits:12", 0, 4095, ("window 0..4095", "clipped")),
        ("bits:16", 0, 65535, ("window 0..65535",)),
        ("minmax", 100, 5000, ("window 100..5000",)),
        ("p0,50", 100, 1000, ("window 100..1000",)),
        ("2000.5,1001", 1500, 2500, ("window 2000.5,1001",)),
    ],
)
def test_a_window_is_for_deep_pictures_of_every_kind(window, low, high, done):
    deep = np.array([[100, 1000, 5000], [100, 1000, 5000]], "u2")
    expected = np.clip((deep.astype(float) - low) / (high - low) * 255, 0, 255)
    png = io.BytesIO()
    Image.fromarray(deep).save(png, "PNG")
    for data in (plain(deep), png.getvalue()):
        picture = decode_bytes(data, "", window)
        assert picture.done == done
        assert np.abs(pixels(picture) - expected).max() < 0.01
    color = decode_bytes(plain(np.dstack([deep] * 3), 2), "", window)
    assert np.abs(pixels(color) - expected[..., None]).max() <= 0.5


def test_eight_bits_stay_for_a_window_in_numbers_and_stretch_for_one_without():
    shallow = (G8 // 4 + 50).astype(np.uint8)
    for window in ("auto", "bits:12", "100,50"):
        assert np.array_equal(pixels(decode_bytes(plain(shallow), "", window)), shallow)
    picture = decode_bytes(plain(shallow), "", "minmax")
    assert picture.done == ("window 50..113",)
    assert np.abs(pixels(picture) - (shallow - 50.0) * 255 / 63).max() < 0.01


def test_fractions_have_windows_that_count_no_steps():
    values = np.array([[0.0, 0.5, 1.0]])
    assert pixels(decode_bytes(plain(values), "", "0.5,1")).tolist() == [[0, 127.5, 255]]


@pytest.mark.parametrize("kind", ["u1", "u2", "f4"])
def test_white_is_zero(kind: str):
    scale = {"u1": 1, "u2": 257, "f4": 1 / 255}[kind]
    values = (G8.astype(float) * scale).round(9).astype(kind)
    assert np.abs(pixels(decode_bytes(plain(values, 0))) - (255.0 - G8)).max() < 0.01


def test_palettes_have_entries_of_16_or_of_8_bits():
    index = RNG.integers(0, 4, (H, W)).astype(np.uint8)
    table = np.array([[0, 10, 20, 255], [5, 0, 200, 255], [7, 90, 0, 255]])  # R, G, B
    for scale in (1, 256, 257):
        wide = np.zeros((3, 256), int)
        wide[:, :4] = table * scale
        picture = decode_bytes(plain(index, 3, t320=wide.ravel().tolist()))
        assert np.array_equal(pixels(picture), table.T[index])
    packed = np.packbits((index[..., None] >> np.array([1, 0]) & 1).reshape(H, -1), axis=1)
    few = tags_of((H, W), 2, 1, 3, t320=(table * 257).ravel().tolist())
    assert np.array_equal(pixels(decode_bytes(tiff(few, [packed.tobytes()]))), table.T[index])


def test_cmyk_of_any_depth_becomes_rgb():
    inks = RNG.integers(0, 256, (H, W, 4)).astype(np.uint8)
    expected = (255.0 - inks[..., :3]) * (255.0 - inks[..., 3:]) / 255
    for values in (inks, inks.astype("u2") * 257, inks / 255):
        picture = decode_bytes(plain(values, 5))
        assert picture.done[-1] == "cmyk"
        assert np.abs(pixels(picture) - expected).max() <= 0.51


@pytest.mark.parametrize("colors", [1, 3])
@pytest.mark.parametrize("scale", [1, 16, 257, 1 / 255])
def test_alpha_is_over_black_unless_it_is_in_the_colors_already(colors: int, scale: float):
    top = {1: 255, 16: 4095, 257: 65535}.get(scale, 1)
    kind = {1: "u1", 16: "u2", 257: "u2"}.get(scale, "f4")
    base = (RGB8[..., :colors].astype(float) * scale).astype(kind)
    base.flat[0] = top
    alpha = np.linspace(0, 1, W)[None].repeat(H, 0)
    stored = np.dstack([base, (alpha * top).astype(kind)])
    shown = base.squeeze() * (255.0 / top)
    photometric = 1 if colors == 1 else 2
    picture = decode_bytes(plain(stored, photometric, t338=[2]))
    assert picture.done[-1] == "alpha over black"
    over = shown * (alpha if colors == 1 else alpha[..., None])
    assert np.abs(pixels(picture) - over).max() < 1.6
    picture = decode_bytes(plain(stored, photometric, t338=[1]))
    assert np.abs(pixels(picture) - shown).max() < 1
    other = decode_bytes(plain(stored, photometric, t338=[0]))
    assert np.abs(pixels(other) - shown).max() < 1
    assert other.done[-1] == f"{colors} of {colors + 1} channels"


def test_channels_beyond_the_colors_are_left_out_and_said():
    values = RNG.random((H, W, 4)).astype("f4")
    picture = decode_bytes(plain(values, 1, t338=[0, 0, 0]))
    assert picture.done == ("scaled from 0..1", "1 of 4 channels")
    assert np.abs(pixels(picture) - values[..., 0] * 255).max() < 0.01
    picture = decode_bytes(plain(values[..., :2].copy(), 1, t338=[0]))
    assert picture.done[-1] == "1 of 2 channels"


@pytest.mark.parametrize("turn", range(2, 9))
def test_deep_pictures_are_turned_upright(turn: int):
    deep = G8.astype("u2") * 257
    picture = decode_bytes(plain(deep, t274=[turn]))
    expected = {
        2: G8[:, ::-1],
        3: G8[::-1, ::-1],
        4: G8[::-1],
        5: G8.T,
        6: G8[::-1].T,
        7: G8[::-1, ::-1].T,
        8: G8.T[::-1],
    }[turn]
    assert picture.done == ("scaled from 0..65535", "exif-rotated")
    assert np.allclose(pixels(picture), expected, atol=1e-3)


@pytest.mark.parametrize(
    ("tags", "name"),
    [
        ({259: [50001]}, "WebP in TIFF"),
        ({259: [34712]}, "JPEG 2000 in TIFF"),
        ({259: [33005]}, "JPEG 2000 in TIFF"),
        ({259: [50002]}, "JPEG XL in TIFF"),
        ({259: [34887]}, "LERC in TIFF"),
        ({259: [34677]}, "SGI LogLuv in TIFF"),
        ({259: [12345]}, "compression 12345 in TIFF"),
        ({259: [7], 258: [12]}, "12-bit JPEG"),
        ({262: [8], 277: [3], 258: [8, 8, 8]}, "CIELab"),
        ({262: [4]}, "a transparency mask"),
        ({262: [32803]}, "a color filter array"),
        ({339: [6], 258: [64]}, "complex numbers"),
        ({339: [5], 258: [32]}, "complex numbers"),
        ({339: [3], 258: [24]}, "floating-point numbers of 24 bits"),
        ({258: [20]}, "numbers of 20 bits"),
        ({277: [3], 258: [5, 6, 5], 262: [2]}, "samples of different kinds"),
        ({259: [5], 317: [2], 258: [12]}, "predictor 2 of 12 bits"),
        ({259: [5], 317: [3]}, "predictor 3 of 8 bits"),
        ({259: [5], 317: [9]}, "predictor 9"),
        ({262: [5], 277: [4], 258: [8] * 4, 332: [2]}, "inks other than CMYK"),
        ({262: [6], 277: [3], 258: [8] * 3}, "YCbCr that is no JPEG"),
        ({262: [6], 277: [3], 258: [16] * 3}, "3 channels of 16 bits"),
    ],
)
def test_what_nothing_here_decodes_is_refused_by_its_name(tags, name, capfd):
    data = tiff(tags_of((H, W), 8) | {339: [1]} | tags, [bytes(H * W * 16)])
    assert reason(data).startswith(f"no-decoder: {name}")
    assert capfd.readouterr() == ("", "")


def test_tags_that_fit_nothing_are_damage():
    rgb = tags_of((H, W), 8, 1, 2)
    assert reason(tiff(rgb, [bytes(H * W)])) == ("corrupt: 1 samples where colors need 3")
    few = tags_of((H, W), 8, t278=[5])
    assert reason(tiff(few, [bytes(H * W)])) == (
        "corrupt: fewer strips or tiles than the picture needs"
    )
    short = tags_of((H, W), 16)
    assert reason(tiff(short, [bytes(H * W)])) == "corrupt: damaged file"
    assert reason(tiff({257: [4], 262: [1]}, [bytes(16)])) == "missing-tag: Width"
    assert reason(b"II*\0\0\0\0\0") == "corrupt: damaged file"
    assert reason(b"II*\0\xff\xff\0\0") == "truncated: the file ends early"


def test_a_flipped_bit_in_a_deflated_strip_is_found():
    strip = bytearray(squeezed(G8, "tiff_adobe_deflate"))
    strip[-1] ^= 1  # the checksum behind the last byte
    assert reason(tiff(tags_of((H, W), 8, t259=[8]), [bytes(strip)])) == "corrupt: damaged file"
    longer = squeezed(np.vstack([G8, G8]), "tiff_adobe_deflate")
    assert reason(tiff(tags_of((H, W), 8, t259=[8]), [longer])) == "corrupt: damaged file"


def test_a_last_strip_may_be_padded_to_the_rows_of_the_others():
    padded = np.vstack([G8, np.zeros((3, W), np.uint8)])  # 40 rows in strips of 8
    strips = [squeezed(padded[start : start + 8], "tiff_adobe_deflate") for start in range(0, H, 8)]
    shown = decode_bytes(tiff(tags_of((H, W), 8, t259=[8], t278=[8]), strips))
    assert np.array_equal(pixels(shown), G8)


def jpeg_of(values: np.ndarray, form: str = "JPEG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(values).save(file, form, **({"quality": 95} if form == "JPEG" else {}))
    return file.getvalue()


def test_jpeg_that_libtiff_would_fill_up_is_refused(capfd):
    whole = tags_of((H, W), 8, t259=[7], t278=[8])
    jpeg = [jpeg_of(G8[start : start + 8]) for start in range(0, H, 8)]
    assert np.abs(pixels(decode_bytes(tiff(whole, jpeg))) - G8).max() < 8
    cut = [*jpeg[:-1], jpeg[-1][:-30]]
    assert reason(tiff(whole, cut)) == "truncated: its JPEG ends early"
    short = [*jpeg[:-1], jpeg_of(G8[-3:])]
    assert reason(tiff(whole, short)).startswith(f"contradictory: {W} x 3 pixels in its JPEG")
    narrow = [jpeg_of(np.ascontiguousarray(G8[:, :-9]))]
    assert reason(tiff(tags_of((H, W), 8, t259=[7]), narrow)).startswith("contradictory: ")
    start = jpeg_of(G8, "JPEG2000").index(b"\xff\x4f\xff\x51")
    other = [jpeg_of(G8, "JPEG2000")[start:]]
    assert reason(tiff(tags_of((H, W), 8, t259=[7]), other)) == "no-decoder: JPEG 2000 in TIFF"
    deep = bytearray(jpeg_of(G8))
    deep[deep.index(b"\xff\xc0") + 4] = 12
    assert reason(tiff(tags_of((H, W), 8, t259=[7]), [bytes(deep)])) == "no-decoder: 12-bit JPEG"
    assert capfd.readouterr() == ("", "")


def test_sizes_are_refused_before_anything_is_decoded():
    assert reason(tiff(tags_of((20000, 20000), 8), [b"x"])).startswith("too-large: 20000 x 20000")
    assert reason(tiff(tags_of((9000, 9000, 3), 32, 3, 2), [b"x"])).startswith("too-large: ")
    many = tags_of((4, 4), 8) | {258: [8] * 60000, 277: [60000]}
    assert reason(tiff(many, [b"x"])).startswith("corrupt: ")


def test_pictures_are_counted_and_named_in_circles_and_long_chains():
    frames = [Image.fromarray((G8 // 2 + n).astype(np.uint8)) for n in range(3)]
    file = io.BytesIO()
    frames[0].save(file, "TIFF", save_all=True, append_images=frames[1:])
    data = file.getvalue()
    assert count_pictures(data) == 3
    assert np.array_equal(pixels(decode_bytes(data, "#frame=3")), G8 // 2 + 2)
    assert reason(data, "#frame=4") == "bad-frame: there is no frame 4, only 1 to 3"
    circle = bytearray(plain(G8))
    start = struct.unpack_from("<I", circle, 4)[0]
    (count,) = struct.unpack_from("<H", circle, start)
    struct.pack_into("<I", circle, start + 2 + 12 * count, start)
    assert count_pictures(bytes(circle)) == 1
    assert decode_bytes(bytes(circle)).done == ()
