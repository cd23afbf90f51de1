"""The pictures in memory: decoded once as long as they fit, and told apart by what they show."""

import numpy as np
import pytest
from PIL import Image

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError
from xmir_cli.images.picture import Picture
from xmir_cli.training.pictures import Pictures


class Source:
    """Counts how often each picture is decoded."""

    def __init__(self, mode: str = "L") -> None:
        self.mode, self.asked = mode, []

    def __call__(self, path: str) -> Picture:
        if path == "bad":
            raise ItemError(Cause.TRUNCATED, "the file ends early")
        self.asked.append(path)
        values = np.full((4, 5), len(path), dtype=np.uint8)
        return Picture(Image.fromarray(values).convert(self.mode), 5, 4, ())


def test_a_picture_is_decoded_once():
    source = Source()
    pictures = Pictures(source)
    assert pictures("a") is pictures("a")
    assert source.asked == ["a"]


@pytest.mark.parametrize(("mode", "size"), [("L", 20), ("RGB", 60), ("F", 80)])
def test_what_does_not_fit_is_decoded_again(mode, size):
    source = Source(mode)
    pictures = Pictures(source, room=2 * size + 1)
    for path in ("a", "b", "c") * 2:
        pictures(path)
    assert source.asked == ["a", "b", "c", "c"]


def test_errors_pass_through():
    with pytest.raises(ItemError, match="truncated"):
        Pictures(Source())("bad")


def test_copies_have_the_same_fingerprint_and_others_do_not():
    pictures = Pictures(Source())
    assert pictures.fingerprint("a") == pictures.fingerprint("b")
    assert pictures.fingerprint("a") != pictures.fingerprint("long")
    assert pictures.fingerprint("a") != Pictures(Source("RGB")).fingerprint("a")
