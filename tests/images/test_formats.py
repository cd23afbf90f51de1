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
