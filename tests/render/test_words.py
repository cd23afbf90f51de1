"""Words are drawn in lines within their square, however long they are."""

import numpy as np
import pytest

from xmir_cli.render.lettering import font
from xmir_cli.render.words import draw_words, fits, wrap


def test_lines_fit_and_hold_all_words():
    text, face = "bilateral ground glass opacities in both lower lobes", font(16)
    lines = wrap(text, face, 120)
    assert all(face.getlength(line) <= 120 for line in lines)
    assert " ".join(lines) == text
    assert len(lines) > 2


@pytest.mark.parametrize("text", ["left", "word " * 400, "x" * 5000, "", "漢字 ü"])
@pytest.mark.parametrize("side", [32, 160])
def test_ink_stays_within_the_margins(text, side):
    page = np.asarray(draw_words(text, side).convert("L"))
    assert page.shape == (side, side)
    margin = round(0.08 * side)
    assert (page[:, : margin - 1] > 200).all()
    assert (page[:, -1] > 200).all()
    assert ((page < 120).sum() > 0) == bool(text)


def test_long_words_are_broken_at_separators_and_nothing_is_lost():
    face, name = font(12), "covid-19_pneumonia/caused-by-virus.0001.png" * 3
    lines = wrap(f"see {name}", face, 90)
    assert all(face.getlength(line) <= 90 for line in lines)
    assert "".join(lines).replace(" ", "") == f"see{name}"
    assert sum(line[-1] in "-_/." for line in lines) > len(lines) / 2
    assert wrap("xyz", face, 1) == ["x", "y", "z"]


def test_letters_become_smaller_before_words_are_left_out():
    text = "bilateral ground glass opacities in both lower lobes, and a small effusion on the left"
    assert not fits(f"{text} {text} {text}", 100)
    assert fits(text, 224)
    assert not fits("x" * 601, 2000)


def test_a_line_that_ends_at_a_separator_fits_though_its_own_font_is_wider():
    face, text = font(12), "iag.\u0301"  # in another font as a whole than without its last letter
    width = face.getlength(text)
    assert face.getlength(text[:-1]) > width
    lines = wrap(text * 4, face, width)
    assert "".join(lines) == text * 4
    assert max(map(face.getlength, lines)) <= width
