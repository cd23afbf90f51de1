"""Ordinary pictures come out right, hostile ones end in one clear code."""

import io
import os
import socket
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from xmir_cli.errors import ItemError, SettingError
from xmir_cli.images.decode import decode_bytes
from xmir_cli.images.picture import Picture
from xmir_cli.pictures.files import open_image, read_picture

RAMP = np.add.outer(np.arange(48), np.arange(64) * 2).astype(np.uint8)  # [48, 64], 0..173
COLOR = np.stack([RAMP, RAMP[::-1], RAMP // 2], axis=2)


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def pixels(picture: Picture) -> np.ndarray:
    return np.asarray(picture.pixels).astype(float)


def code(data: bytes, frame: int | None = None) -> str:
    with pytest.raises(ItemError) as caught:
        decode_bytes(data, "" if frame is None else f"#frame={frame}")
    assert ": " in caught.value.reason
    return caught.value.reason.split(":")[0]


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of_size(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 64))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_grey_stays_grey_and_exact(form: str):
    picture = decode_bytes(saved(Image.fromarray(RAMP), form))
    assert picture.pixels.mode == "L"
    assert (picture.width, picture.height, picture.done) == (64, 48, ())
    assert np.array_equal(pixels(picture), RAMP)


@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_is_read(progressive: bool):
    picture = decode_bytes(
        saved(Image.fromarray(RAMP), "JPEG", quality=95, progressive=progressive)
    )
    assert picture.pixels.mode == "L"
    assert np.abs(pixels(picture) - RAMP).max() < 4


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_color_stays_color(form: str):
    picture = decode_bytes(saved(Image.fromarray(COLOR), form))
    assert picture.pixels.mode == "RGB"
    assert np.array_equal(pixels(picture), COLOR)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits_keep_their_greys(form: str):
    deep = RAMP.astype(np.uint16) * 370
    picture = decode_bytes(saved(Image.fromarray(deep), form))
    assert picture.pixels.mode == "F"
    assert picture.done == ("scaled from 0..65535",)
    assert np.allclose(pixels(picture), deep / 65535 * 255, atol=1e-3)


def test_twelve_bits_in_sixteen_use_the_whole_range():
    deep = RAMP.astype(np.uint16) * 16
    picture = decode_bytes(saved(Image.fromarray(deep), "PNG"))
    assert picture.done == ("scaled from 0..4095",)
    assert np.allclose(pixels(picture), deep / 4095 * 255, atol=1e-3)


def test_big_endian_tiff_is_read():
    deep = RAMP.astype(np.uint16) * 300
    image = Image.frombytes("I;16B", (64, 48), deep.astype(">u2").tobytes())
    assert np.allclose(pixels(decode_bytes(saved(image, "TIFF"))), deep / 65535 * 255, atol=1e-3)


@pytest.mark.parametrize(
    ("values", "done"),
    [
        (RAMP.astype(np.float32) / 255, "scaled from 0..1"),
        (RAMP.astype(np.float32), "scaled from 0..255"),
        (RAMP.astype(np.int32), "scaled from 0..255"),
        (RAMP.astype(np.int32) * 100, "scaled from 0..65535"),
        (RAMP.astype(np.float32) - 100, "scaled from -100..73"),
        (RAMP.astype(np.int32) * 1000, "scaled from 0..173000"),
    ],
)
def test_float_and_integer_tiffs_are_scaled_by_the_first_scale_that_fits(
    values: np.ndarray, done: str
):
    picture = decode_bytes(saved(Image.fromarray(values), "TIFF"))
    assert picture.done == (done,)
    low, high = (float(number) for number in done.removeprefix("scaled from ").split(".."))
    assert np.allclose(pixels(picture), (values - low) / (high - low) * 255, atol=1e-2)


def test_a_constant_deep_picture_is_no_division_by_zero():
    picture = decode_bytes(saved(Image.fromarray(np.full((4, 4), -7.0, np.float32)), "TIFF"))
    assert np.array_equal(pixels(picture), np.zeros((4, 4)))


def test_deep_white_is_zero_is_inverted():
    deep = RAMP.astype(np.uint16) * 300
    picture = decode_bytes(saved(Image.fromarray(deep), "TIFF", tiffinfo={262: 0}))
    assert np.allclose(pixels(picture), 255 - deep / 65535 * 255, atol=1e-3)


def test_nan_pixels_are_refused():
    values = np.zeros((4, 4), np.float32)
    values[1, 1] = np.nan
    assert code(saved(Image.fromarray(values), "TIFF")) == "bad-values"


def test_one_bit_becomes_black_and_white():
    picture = decode_bytes(saved(Image.fromarray(RAMP > 80), "PNG"))
    assert set(np.unique(pixels(picture))) == {0, 255}


def test_palette_gives_its_colors():
    image = Image.fromarray(COLOR).quantize(32)
    expected = np.asarray(image.convert("RGB"))
    assert np.array_equal(pixels(decode_bytes(saved(image, "PNG"))), expected)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_is_laid_over_black(mode: str):
    image = Image.fromarray(np.full((4, 4), 200, np.uint8)).convert(mode)
    alpha = Image.fromarray(np.array([[255, 128, 0, 0]] * 4, np.uint8))
    image.putalpha(alpha)
    picture = decode_bytes(saved(image, "PNG"))
    assert picture.done == ("alpha over black",)
    assert picture.pixels.mode == ("L" if mode == "LA" else "RGB")
    assert pixels(picture)[0].reshape(4, -1)[:, 0].tolist() == [200, 100, 0, 0]


def test_opaque_alpha_is_not_worth_a_word():
    picture = decode_bytes(saved(Image.fromarray(COLOR).convert("RGBA"), "PNG"))
    assert picture.done == ()
    assert np.array_equal(pixels(picture), COLOR)


def test_palette_and_color_key_transparency_become_black():
    image = Image.fromarray(np.array([[0, 1], [2, 3]], np.uint8), "P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120])
    picture = decode_bytes(saved(image, "PNG", transparency=b"\x00\xff\xff\xff"))
    assert pixels(picture).tolist() == [[[0, 0, 0], [40, 50, 60]], [[70, 80, 90], [100, 110, 120]]]
    key = decode_bytes(saved(Image.fromarray(np.array([[7, 8]], np.uint8)), "PNG", transparency=7))
    assert pixels(key).tolist() == [[0, 8]]


def test_cmyk_jpeg_is_noted():
    picture = decode_bytes(saved(Image.fromarray(COLOR).convert("CMYK"), "JPEG", quality=95))
    assert picture.pixels.mode == "RGB"
    assert picture.done == ("cmyk",)
    assert np.abs(pixels(picture) - COLOR).mean() < 8


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_upright_once(form: str, orientation: int):
    upright = Image.fromarray(RAMP)
    # the transposition that undoes what a viewer does for this orientation
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = upright.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = decode_bytes(
        saved(stored, form, exif=exif.tobytes(), **({"quality": 95} if form == "JPEG" else {}))
    )
    assert (picture.width, picture.height) == (64, 48)
    assert np.abs(pixels(picture) - RAMP).max() < 4
    assert picture.done == (("exif-rotated",) if orientation > 1 else ())


def test_damaged_exif_does_not_cost_the_picture():
    picture = decode_bytes(saved(Image.fromarray(RAMP), "JPEG", exif=b"Exif\0\0garbage"))
    assert (picture.width, picture.done) == (64, ())


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_the_first_of_several_frames_is_taken_and_counted(form: str):
    frames = [Image.fromarray(np.full((8, 8), value, np.uint8)) for value in (10, 20, 30)]
    data = saved(frames[0], form, save_all=True, append_images=frames[1:])
    picture = decode_bytes(data)
    assert picture.done == ("first of 3 frames",)
    assert np.unique(pixels(picture)).tolist() == [10]


def test_metadata_does_not_travel_with_the_pixels():
    info = PngImagePlugin.PngInfo()
    info.add_text("PatientName", "CANARYPHI")
    picture = decode_bytes(saved(Image.fromarray(RAMP), "PNG", pnginfo=info))
    assert picture.pixels.info == {}
    assert b"CANARYPHI" not in saved(picture.pixels, "PNG")


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (1, 200)])
def test_tiny_pictures_are_pictures(size: tuple[int, int]):
    picture = decode_bytes(saved(Image.new("L", size, 9), "PNG"))
    assert (picture.width, picture.height) == size


@pytest.mark.parametrize("size", [(1, 201), (60000, 1)])
def test_ribbons_are_refused(size: tuple[int, int]):
    assert code(saved(Image.new("L", size), "PNG")) == "bad-size"


@pytest.mark.parametrize("size", [(13_000, 13_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)])
def test_decompression_bombs_are_refused_by_their_header(size: tuple[int, int]):
    assert code(png_of_size(*size)) == "too-large"


def test_the_pixel_limit_can_be_moved(monkeypatch: pytest.MonkeyPatch):
    data = saved(Image.new("L", (100, 100)), "PNG")
    monkeypatch.setenv("XMIR_MAX_PIXELS", "9999")
    assert code(data) == "too-large"
    monkeypatch.setenv("XMIR_MAX_PIXELS", "10000")
    assert decode_bytes(data).width == 100
    monkeypatch.setenv("XMIR_MAX_PIXELS", "many")
    with pytest.raises(SettingError, match="XMIR_MAX_PIXELS: expected a number of pixels"):
        decode_bytes(data)


def test_a_frame_is_named_after_the_file(tmp_path: Path):
    pages = [Image.new("L", (8, 8), value) for value in (10, 20, 30)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    picture = read_picture(f"{tmp_path}/a.tif#frame=2")
    assert pixels(picture).max() == 20
    assert picture.done == ()
    for number in (0, 4):
        with pytest.raises(ItemError, match=f"bad-frame: there is no frame {number}, only 1 to 3$"):
            read_picture(f"{tmp_path}/a.tif#frame={number}")


def test_a_file_that_is_really_called_so_is_taken_as_it_is(tmp_path: Path):
    Image.new("L", (8, 8), 7).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.png#frame=3")
    assert pixels(read_picture(f"{tmp_path}/a.png#frame=3")).max() == 7


def test_compressed_text_bombs_are_refused():
    data = png_of_size(8, 8)
    bomb = chunk(b"zTXt", b"k\0\0" + zlib.compress(b"x" * 100_000_000))
    with pytest.raises(ItemError):
        decode_bytes(data[:33] + bomb + data[33:])


@pytest.mark.parametrize(
    "data",
    [
        b"hello",
        b"<html></html>",
        b"version https://git-lfs.github.com/spec/v1\n",
        b"%PDF-1.7",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
        b"<svg/>",
        bytes(range(256)),
        b"GIF89a" + bytes(20),
    ],
)
def test_other_files_are_not_images(data: bytes):
    assert code(data) == "not-an-image"


def test_no_bytes_are_empty():
    assert code(b"") == "empty"
    assert code(b"\x89PN") == "truncated"


def test_dicom_is_seen_before_the_tiff_in_its_preamble():
    assert code(b"II*\0" + bytes(124) + b"DICM") in {"no-pixels", "no-decoder"}


def test_dicom_without_its_preamble_is_called_that():
    with pytest.raises(ItemError, match="not-an-image: DICOM without its preamble"):
        decode_bytes(b"\x08\0\x05\0CS\x0a\0ISO_IR 100")


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize("percent", [10, 50, 95])
def test_cut_files_are_truncated(form: str, percent: int):
    noise = np.random.default_rng(0).integers(0, 256, (60, 60), dtype=np.uint8)
    data = saved(Image.fromarray(noise), form)
    assert code(data[: len(data) * percent // 100]) == "truncated"


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "packbits"])
def test_cut_compressed_tiffs_are_truncated(compression: str):
    noise = np.random.default_rng(0).integers(0, 256, (60, 60), dtype=np.uint8)
    data = saved(Image.fromarray(noise), "TIFF", compression=compression)
    assert code(data[: len(data) // 2]) == "truncated"


def test_a_damaged_but_whole_file_is_corrupt():
    data = bytearray(saved(Image.fromarray(RAMP), "PNG"))
    data[16] ^= 0xFF  # the width in the header: its checksum no longer fits
    assert code(bytes(data)) == "corrupt"


def test_a_switch_turned_by_others_does_not_matter(monkeypatch: pytest.MonkeyPatch):
    from PIL import ImageFile

    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    data = saved(Image.fromarray(RAMP), "JPEG")
    assert code(data[:-200]) == "truncated"


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["PNG", "JPEG", "TIFF"]),
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=8),
    st.integers(0, 5000),
)
def test_no_damage_ends_in_anything_but_a_picture_or_a_code(
    form: str, flips: list[tuple[int, int]], cut: int
):
    data = bytearray(saved(Image.fromarray(COLOR), form))
    for place, value in flips:
        data[place % len(data)] = value
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            picture = decode_bytes(bytes(data[: cut or len(data)]))
        except ItemError:
            return
    assert picture.pixels.mode in {"L", "RGB", "F"}


def reason(path: object) -> str:
    with pytest.raises(ItemError) as caught:
        open_image(str(path))
    return caught.value.reason.split(":")[0]


def test_files_that_cannot_be_read_have_their_codes(tmp_path: Path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "file").write_bytes(b"")
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(5 << 30)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        assert reason(tmp_path / "socket") == "not-regular"
    assert reason(tmp_path / "fifo") == "not-regular"
    assert reason("/dev/zero") == "not-regular"
    assert reason(tmp_path) == "not-regular"
    assert reason(tmp_path / "loop") == "symlink-loop"
    assert reason(tmp_path / "gone") == "missing"
    assert reason(tmp_path / "file" / "below") == "missing"
    assert reason(tmp_path / ("x" * 300)) == "name-too-long"
    assert reason(tmp_path / "huge") == "too-large"
    assert reason("a\0b") == "bad-path"
    assert reason("\ud800") == "bad-path"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_forbidden_files_are_named_so(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "a").chmod(0)
    assert reason(tmp_path / "a") == "permission"


def test_a_file_is_decoded_by_content_whatever_its_name(tmp_path: Path):
    path = tmp_path / "scan.JPG\n\x1b[31m\udcff"
    path.write_bytes(saved(Image.fromarray(RAMP), "PNG"))
    assert read_picture(str(path)).width == 64


@pytest.mark.parametrize(
    ("size", "enough", "reduced"),
    [
        ((640, 480), 240, (320, 240)),
        ((640, 480), 241, (640, 480)),
        ((641, 483), 120, (161, 121)),  # rounded up
        ((640, 480), 30, (80, 60)),  # an eighth is the least
    ],
)
def test_jpegs_are_decoded_at_a_part_of_their_size_where_that_will_do(size, enough, reduced):
    ramp = Image.fromarray(np.add.outer(np.arange(483), np.arange(641)).astype(np.float32) / 5)
    data = saved(ramp.convert("L").crop((0, 0, *size)), "JPEG", quality=95)
    found = decode_bytes(data, enough=enough)
    assert (found.pixels.size, found.width, found.height) == (reduced, *size)
    part = {size[0]: 1, reduced[0]: -(-size[0] // reduced[0])}[found.pixels.width]
    assert found.reduction == part
    assert found.done == ((f"jpeg 1/{part}",) if part > 1 else ())
    centres = np.arange(reduced[0] - 1) * part + (part - 1) / 2
    expected = np.interp(centres, np.arange(size[0]), pixels(decode_bytes(data))[10 * part])
    assert np.abs(pixels(found)[10, :-1] - expected).max() < 4


def test_other_pictures_and_turned_ones_are_decoded_whole():
    turned = Image.Exif()
    turned[274] = 6
    large = Image.fromarray(RAMP).resize((640, 480))
    for data in (saved(large, "PNG"), saved(large, "TIFF"), saved(large, "JPEG", exif=turned)):
        assert decode_bytes(data, enough=16) == decode_bytes(data)
