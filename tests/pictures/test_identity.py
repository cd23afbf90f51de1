"""An image is its file's hash and which of its pictures it is."""

import pytest

from xmir_cli.pictures.identity import identity_of, name_of, split_name


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a.tif", ("a.tif", None)),
        ("a.tif#frame=3", ("a.tif", 3)),
        ("a.tif#frame=03", ("a.tif", 3)),
        ("a#frame=1#frame=2", ("a#frame=1", 2)),
        ("a.tif#frame=x", ("a.tif#frame=x", None)),
        ("a.tif#frame=", ("a.tif#frame=", None)),
        ("#frame=2", ("#frame=2", None)),
        ("a\n.tif#frame=2", ("a\n.tif", 2)),
    ],
)
def test_a_name_is_a_file_and_perhaps_a_frame(name: str, parts: tuple[str, int | None]):
    assert split_name(name) == parts


def test_a_name_comes_back_from_its_parts():
    assert name_of(*split_name("a.tif#frame=3")) == "a.tif#frame=3"
    assert name_of(*split_name("a.tif")) == "a.tif"


def test_frames_of_one_file_are_different_images():
    names = ["a.tif", "a.tif#frame=2", "a.tif#frame=3"]
    assert len({identity_of("00ff", name) for name in names}) == 3


def test_the_first_picture_of_a_file_is_the_file():
    assert identity_of("00ff", "a.tif#frame=1") == identity_of("00ff", "b.tif") == "00ff"


def test_one_picture_is_the_same_image_under_any_path():
    assert identity_of("00ff", "a.tif#frame=2") == identity_of("00ff", "/b/c#frame=02")
