"""JPEG: kinds that nothing here decodes are named, not called damaged."""

import io

import numpy as np
import pytest
from PIL import Image

from xmir_cli.errors import ItemError
from xmir_cli.images.decode import decode_bytes


def jpeg(mode: str = "L", **options: object) -> bytes:
    file = io.BytesIO()
    gradient = Image.fromarray(np.add.outer(np.arange(40), np.arange(60)).astype(np.uint8))
    gradient.convert(mode).save(file, "JPEG", **options)
    return file.getvalue()


def with_process(data: bytes, marker: int, bits: int = 8) -> bytes:
    """The same file under the frame header of another process."""
    place = data.index(b"\xff\xc0")
    return (
        data[: place + 1]
        + bytes([marker])
        + data[place + 2 : place + 4]
        + bytes([bits])
        + (data[place + 5 :])
    )


@pytest.mark.parametrize(
    ("marker", "bits", "name"),
    [
        (0xC1, 12, "12-bit JPEG"),
        (0xC2, 12, "12-bit JPEG"),
        (0xC3, 16, "lossless JPEG"),
        (0xC3, 12, "lossless JPEG"),
        (0xC5, 8, "hierarchical JPEG"),
        (0xCB, 8, "arithmetic lossless JPEG"),
        (0xF7, 8, "JPEG-LS"),
    ],
)
def test_what_nothing_here_decodes_is_refused_by_its_name(marker, bits, name, capfd):
    with pytest.raises(ItemError) as caught:
        decode_bytes(with_process(jpeg(), marker, bits))
    assert caught.value.reason == f"no-decoder: {name}"
    assert capfd.readouterr() == ("", "")


def test_a_grey_one_stretches_for_a_window_without_a_unit():
    data = jpeg(quality=95)
    plain = np.asarray(decode_bytes(data).pixels).astype(float)
    shown = decode_bytes(data, "", "minmax")
    assert shown.done == ("window 0..98",)
    assert np.allclose(np.asarray(shown.pixels), plain * 255 / 98, atol=0.01)
    assert np.array_equal(np.asarray(decode_bytes(data, "", "-600,1500").pixels), plain)


def test_inks_of_adobe_are_inverted_and_others_not():
    data = jpeg("CMYK", quality=95)
    place = data.index(b"Adobe")
    without = data[: place - 4] + data[place + 12 :]
    colors, other = (np.asarray(decode_bytes(each).pixels).astype(int) for each in (data, without))
    assert np.abs(colors[20, 30] - 50).max() < 4
    assert np.abs(other[20, 30] - colors[20, 30]).max() > 20
