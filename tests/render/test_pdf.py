"""A PDF whose table of objects is right, so that every reader opens it."""

import re
from io import BytesIO

import pytest
from PIL import Image, PdfParser

from xmir_cli.render.pdf import PdfPages, paper


def made(landscape, *sizes):
    file = BytesIO()
    pages = PdfPages(file, landscape)
    for size in sizes:
        pages.add(Image.new("RGB", size, "red"))
    assert pages.close() == len(sizes)
    return file.getvalue()


@pytest.mark.parametrize("count", [1, 3])
def test_every_object_lies_where_the_table_says(count):
    data = made(False, *[(300, 400)] * count)
    start = int(re.search(rb"startxref\n(\d+)\n%%EOF\n$", data)[1])
    assert data[start:].startswith(b"xref\n")
    places = [int(place) for place in re.findall(rb"(\d{10}) 00000 n \n", data[start:])]
    for number, place in enumerate(places, start=1):
        assert data[place:].startswith(b"%d 0 obj\n" % number)
    assert len(places) == 2 + 3 * count
    for length, content in re.findall(
        rb"/Length (\d+) >>\nstream\n(.*?)\nendstream", data, re.DOTALL
    ):
        assert len(content) == int(length)
    with PdfParser.PdfParser(buf=bytearray(data)) as parsed:
        assert len(parsed.pages) == count


def test_pages_are_a4_upright_or_lying_whatever_the_picture():
    assert b"/MediaBox [0 0 595.276 841.89]" in made(False, (3000, 20))
    assert b"/MediaBox [0 0 841.89 595.276]" in made(True, (20, 3000))


@pytest.mark.parametrize("size", [(5000, 9000), (9000, 20), (20, 9000), (2000, 1414)])
@pytest.mark.parametrize("landscape", [False, True])
def test_a_picture_keeps_a_margin_of_10_mm_that_printers_leave_white(size, landscape):
    wide, high, left, bottom = placed(made(landscape, size))
    across, along = (841.89, 595.276) if landscape else (595.276, 841.89)
    margin = 28.34  # points
    assert min(left, bottom, across - left - wide, along - bottom - high) >= margin
    assert wide / high == pytest.approx(size[0] / size[1], rel=1e-2)


def test_small_pictures_are_not_blown_up():
    assert placed(made(False, (100, 100)))[:2] == [50, 50]


def placed(data):
    """Width, height, left and bottom of the picture in points."""
    drawn = rb"q (\S+) 0 0 (\S+) (\S+) (\S+) cm"
    return [float(each) for each in re.search(drawn, data).groups()]


def test_paper_in_pixels_is_a4_without_its_margins():
    width, height = paper(True, 3000)
    assert (width, height) == pytest.approx((3000, 3000 * 190 / 277), rel=1e-3)
    assert paper(False, 10)[0] == pytest.approx(2 * 190 / 25.4 * 72, abs=0.01)
