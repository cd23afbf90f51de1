"""Parts of a picture, and as much of it elsewhere."""

import numpy as np
import pytest

from xmir_cli.errors import SettingError
from xmir_cli.scoring.shortcut.areas import draw_elsewhere, draw_part
from xmir_cli.scoring.shortcut.names import PartShape, parse_shape


def test_parts_are_shares_of_the_side():
    corners = draw_part(PartShape("corners", 0.25), 8)
    border, center = draw_part(PartShape("border", 0.25), 8), draw_part(PartShape("center", 0.5), 8)
    for row in range(8):
        for column in range(8):
            outer = [place < 2 or place >= 6 for place in (row, column)]
            assert corners[row, column] == all(outer)
            assert border[row, column] == any(outer)
            assert center[row, column] == (not any(p < 2 or p >= 6 for p in (row, column)))
    assert (border == ~center).all()


@pytest.mark.parametrize("text", ["border:12%", "corners:7.5%", "center:60%"])
def test_what_is_typed_is_a_part(text):
    kind, share = text.removesuffix("%").split(":")
    assert parse_shape(text, "suspect") == PartShape(kind, float(share) / 100)


@pytest.mark.parametrize(
    "text", ["border:50%", "border:0%", "corners:12", "center:100%", "center:", "border:-3%"]
)
def test_what_is_no_part_is_refused(text):
    with pytest.raises(SettingError, match=r"suspect: expected \w+:N%, above 0% and below"):
        parse_shape(text, "suspect")


def test_other_words_name_masks():
    assert parse_shape("mask", "suspect") is None
    assert parse_shape("C:/masks", "suspect") is None


def test_elsewhere_as_much_is_hidden():
    area = draw_part(PartShape("border", 0.12), 40)
    found = draw_elsewhere(area, 6, 0)
    assert [each.sum() for each in found] == [area.sum()] * 6
    assert not any((each & area).any() for each in found)
    assert len({each.tobytes() for each in found}) == 6
    again = draw_elsewhere(area, 6, 0)
    assert np.array_equal(found, again)
