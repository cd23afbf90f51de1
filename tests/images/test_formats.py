"""The table of formats: a row is all that the rest of xmir knows of one."""

from pathlib import Path

import pytest
from PIL import Image

from xmir_cli.errors import ItemError
from xmir_cli.images import formats
from xmir_cli.images.decode import decode_bytes
from xmir_cli.images.picture import ImageFormat, Picture
from xmir_cli.pictures.items import list_items

DOT = ImageFormat(
    "DOT",
    (".dot",),
    lambda data: data.startswith(b"dot"),
    lambda _: 1,
    lambda *_: Picture(Image.new("L", (1, 1)), 1, 1, ()),
)


def test_a_format_is_one_row(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(formats, "FORMATS", (*formats.FORMATS, DOT))
    Path("d").mkdir()
    Path("d/a.dot").write_bytes(b"dot")
    assert [item.id for item in list_items(["d"], null_separated=False, where=None)] == ["d/a.dot"]
    assert decode_bytes(b"dot").width == 1
    with pytest.raises(ItemError, match=r"expected DICOM, PNG, JPEG, TIFF or DOT"):
        decode_bytes(b"hello")


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"\0\0\0\x0cjP  \r\n", "JPEG 2000"),
        (b"\xff\x4f\xff\x51\0\x29", "JPEG 2000"),
        (b"\xff\x0a\xfa\x1f", "JPEG XL"),
        (b"\0\0\0\x20ftypavif", "AVIF"),
        (b"\0\0\0\x20ftypheic", "HEIF"),
    ],
)
def test_pictures_that_nothing_here_decodes_are_named(start, name):
    with pytest.raises(ItemError) as caught:
        decode_bytes(start + bytes(100))
    assert caught.value.reason == f"no-decoder: {name}"
