"""The one door: what an image is, what it shows, and what is seen of it."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xmir_cli.errors import ItemError
from xmir_cli.pictures import files
from xmir_cli.pictures.files import count_images, open_image
from xmir_cli.pictures.reading import read_image
from xmir_cli.wire.model import Preprocessing

RECIPE = Preprocessing(input_size=8, resize=8, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


@pytest.fixture
def tiff() -> str:
    pages = [Image.new("L", (10, 8), value) for value in (10, 20, 30)]
    pages[0].save("a.tif", save_all=True, append_images=pages[1:])
    return "a.tif"


def test_a_reading_is_the_named_frame(tiff: str):
    sha256 = hashlib.sha256(Path(tiff).read_bytes()).hexdigest()
    for frame, value in ((1, 10), (2, 20), (3, 30)):
        found = read_image(f"{tiff}#frame={frame}", RECIPE)
        assert np.asarray(found.picture.pixels).max() == value
        assert found.view.pixels.shape == (8, 8, 3)
        assert found.input.unique().item() == pytest.approx((value / 255 - 0.5) / 0.25, abs=1e-6)
        assert found.sha256 == sha256
        assert found.identity == (sha256 if frame == 1 else f"{sha256}#frame={frame}")


def test_without_a_frame_it_is_the_first(tiff: str):
    first, bare = read_image(f"{tiff}#frame=1", RECIPE), read_image(tiff, RECIPE)
    assert first.identity == bare.identity
    assert np.array_equal(first.view.pixels, bare.view.pixels)


def test_a_file_that_really_has_such_a_name_is_itself(tiff: str):
    Image.new("L", (10, 8), 77).save("b.png")
    Path("b.png").rename(f"{tiff}#frame=2")
    found = open_image(f"{tiff}#frame=2")
    sha256 = hashlib.sha256(Path(f"{tiff}#frame=2").read_bytes()).hexdigest()
    assert found.identity == f"{sha256}#frame=2"  # its own bytes, as an index says it
    assert np.asarray(found.decode().pixels).max() == 77


def test_pictures_are_counted(tiff: str):
    Image.new("L", (9, 9)).save("one.png")
    assert (count_images(tiff), count_images("one.png")) == (3, 1)
    Path("text.tif").write_text("no picture")
    with pytest.raises(ItemError, match="not-an-image"):
        count_images("text.tif")
    with pytest.raises(ItemError, match="missing"):
        count_images("gone.tif")


def test_frames_of_one_file_read_it_once_until_it_changes(tiff: str, monkeypatch):
    read = []

    def counted(path: str, real=files._read_file) -> object:
        read.append(path)
        return real(path)

    monkeypatch.setattr(files, "_read_file", counted)
    before = [open_image(f"{tiff}#frame={frame}").identity for frame in (1, 2, 3)]
    assert read == [tiff]
    pages = [Image.new("L", (10, 8), value) for value in (40, 50, 60)]
    pages[0].save(tiff, save_all=True, append_images=pages[1:])
    os.utime(tiff, (1, 1))
    after = [open_image(f"{tiff}#frame={frame}").identity for frame in (1, 2, 3)]
    assert read == [tiff, tiff]
    assert not set(before) & set(after)


@pytest.mark.parametrize("name", ["gone.png#frame=2", "d#frame=2", "a\0.png", "a\0.png#frame=3"])
def test_what_cannot_be_opened_says_why(name: str):
    Path("d").mkdir()
    with pytest.raises(ItemError, match=r"missing|not-regular|bad-path"):
        open_image(name)
