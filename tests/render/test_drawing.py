from xml.etree import ElementTree

import numpy as np
import pytest

from xmir_cli.render.drawing import PALETTE, Drawing
from xmir_cli.render.lettering import font

SVG = "{http://www.w3.org/2000/svg}"


def parsed(drawing: Drawing) -> ElementTree.Element:
    return ElementTree.fromstring(drawing.encode(".svg"))  # noqa: S314 # our own


def where(drawing: Drawing, color: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of a colour's pixels, in units."""
    pixels = np.asarray(drawing.picture(), dtype=int)
    rows, columns = np.nonzero(np.abs(pixels - color).max(axis=2) < 40)
    return (rows + 0.5) / 2, (columns + 0.5) / 2


def test_shapes_lie_where_they_were_put():
    drawing = Drawing(100, 50, "a")
    drawing.line([(10, 20), (60, 20)], PALETTE[0], 2)
    drawing.dot((80, 30), 5, PALETTE[1])
    rows, columns = where(drawing, PALETTE[0])
    assert (rows.mean(), columns.min(), columns.max()) == pytest.approx((20, 10, 60), abs=0.5)
    rows, columns = where(drawing, PALETTE[1])
    assert (rows.mean(), columns.mean(), np.ptp(rows)) == pytest.approx((30, 80, 10), abs=0.6)


def test_dashes_leave_half_of_a_line_out():
    whole, dashed = Drawing(100, 10, "a"), Drawing(100, 10, "a")
    whole.line([(0, 5), (100, 5)], PALETTE[0], 2)
    dashed.line([(0, 5), (100, 5)], PALETTE[0], 2, dashes=(5, 5))
    columns, some = (np.unique(where(each, PALETTE[0])[1]).size for each in (whole, dashed))
    assert some / columns == pytest.approx(0.5, abs=0.05)
    dashed.line([(1, 1), (1, 1)], PALETTE[1], dashes=(5, 5))  # of no length
    assert dashed.picture()


@pytest.mark.parametrize("anchor", ["left", "middle", "right"])
def test_words_stand_at_their_anchor(anchor):
    drawing = Drawing(200, 40, "a")
    drawing.words((100, 20), "words", 15, PALETTE[1], anchor)
    rows, columns = where(drawing, PALETTE[1])
    assert rows.mean() == pytest.approx(20, abs=2)
    ends = {"left": columns.min(), "right": columns.max(), "middle": np.mean([*columns])}
    assert ends[anchor] == pytest.approx(100, abs=2)


def test_upright_words_end_at_their_place_and_hang_below_it():
    drawing = Drawing(60, 100, "a")
    drawing.words((30, 10), "upright", 15, PALETTE[1], upright=True)
    rows, columns = where(drawing, PALETTE[1])
    assert rows.min() == pytest.approx(11, abs=2)
    assert np.ptp(rows) > 2 * np.ptp(columns)
    assert columns.mean() == pytest.approx(30, abs=3)


def test_an_svg_holds_the_same_shapes_and_its_words_escaped():
    drawing = Drawing(100, 50, "<b>&")
    drawing.line([(10, 20), (60, 20)], PALETTE[0], 2, (5, 3))
    drawing.dot((80, 30), 5, PALETTE[1])
    drawing.words((1, 2), "<script>\"'", 15, upright=True)
    root = parsed(drawing)
    assert (root.get("width"), root.get("height"), root.get("role")) == ("100", "50", "img")
    assert root.findtext(f"{SVG}title") == "<b>&"
    line, dot, words = (root.find(f".//{SVG}{tag}") for tag in ("polyline", "circle", "text"))
    assert line is not None
    assert line.get("points") == "10.00,20.00 60.00,20.00"
    assert line.get("stroke") == "#0072b2"
    assert line.get("stroke-dasharray") == "5 3"
    assert dot is not None
    assert dot.get("r") == "5"
    assert words is not None
    assert words.text == "<script>\"'"
    assert float(str(words.get("textLength"))) == pytest.approx(
        font(15).getlength(words.text), abs=0.1
    )
    assert words.get("transform") == "rotate(-90 1.00 2.00)"


def test_a_png_has_two_pixels_a_unit():
    drawing = Drawing(30, 20, "a")
    assert drawing.picture().size == (60, 40)
    assert drawing.encode(".png").startswith(b"\x89PNG")
