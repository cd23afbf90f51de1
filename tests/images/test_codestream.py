"""Sizes in the headers of compressed frames, as the libraries that made them say."""

import io
import struct

import pytest
from PIL import Image

from xmir_cli.errors import ItemError
from xmir_cli.images.codestream import check_scans, read_codestream
from xmir_cli.images.decode import decode_bytes


def encoded(form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (37, 21), (200, 10, 10)).save(buffer, form, **options)
    return buffer.getvalue()


def declared(frame: bytes) -> tuple[int, int] | None:
    found = read_codestream(frame)
    return found and (found.width, found.height)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 2}])
def test_jpeg(options):
    assert declared(encoded("JPEG", **options)) == (37, 21)


@pytest.mark.parametrize("options", [{"no_jp2": True}, {"no_jp2": False}])
def test_jpeg_2000(options):
    assert declared(encoded("JPEG2000", **options)) == (37, 21)


def test_jpeg_ls_and_fill_bytes():
    header = struct.pack(">BBHBHHB", 0xFF, 0xF7, 11, 8, 500, 600, 1)
    assert declared(b"\xff\xd8" + b"\xff" + header) == (600, 500)


@pytest.mark.parametrize("frame", [b"", b"\xff\xd8", b"\xff\xd8\xff\xe0\0", b"hello, hello"])
def test_a_frame_without_a_header_has_no_size(frame):
    assert declared(frame) is None


def test_no_cut_of_a_header_is_anything_but_a_size():
    for form in ("JPEG", "JPEG2000"):
        data = encoded(form)
        assert {declared(data[:end]) for end in range(300)} <= {None, (37, 21)}


def scans_added(jpeg: bytes, count: int) -> bytes:
    """A progressive JPEG whose last scan comes `count` times more: a second each for 600 MP."""
    last = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    return jpeg[:-2] + last * count + jpeg[-2:]


def test_scans_without_number_are_refused_before_they_are_decoded():
    jpeg = encoded("JPEG", progressive=True)
    own = jpeg.count(b"\xff\xda")
    assert own > 1
    assert decode_bytes(scans_added(jpeg, 100 - own)).width == 37
    with pytest.raises(ItemError, match=r"^too-large: more than 100 scans of one image$"):
        decode_bytes(scans_added(jpeg, 101 - own))


def test_what_only_looks_like_scans_is_not_counted():
    preview = b"\xff\xda" * 500
    jpeg = encoded("JPEG", comment=preview) + preview  # within a segment, and after the end
    check_scans(jpeg)
    check_scans(jpeg[:30])
