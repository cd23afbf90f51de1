import pytest
from PIL import Image

from xmir_cli.errors import ItemError
from xmir_cli.images.pixels import to_plain


def test_modes_without_a_plain_picture_are_refused():
    with pytest.raises(ItemError, match="no-decoder: pixels of the kind LAB"):
        to_plain(Image.new("LAB", (2, 2)))


def test_the_given_image_is_not_changed():
    image = Image.new("L", (2, 2), 7)
    image.info["note"] = "keep"
    plain, _ = to_plain(image)
    plain.putpixel((0, 0), 1)
    assert image.getpixel((0, 0)) == 7
    assert image.info == {"note": "keep"}
