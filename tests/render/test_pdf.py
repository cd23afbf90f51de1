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


def test_a_picture_is_no_larger_than_the_paper_and_small_ones_are_not_blown_up():
    drawn = rb"q (\S+) 0 0 (\S+) (\S+) (\S+) cm"
    wide, high, left, bottom = map(float, re.search(drawn, made(False, (5000, 9000))).groups())
    assert (wide <= 595.3, high <= 841.9, left >= 0, bottom >= 0) == (True,) * 4
    wide, high, _, _ = map(float, re.search(drawn, made(False, (100, 100))).groups())
    assert (wide, high) == (50, 50)


def test_paper_in_pixels_has_the_proportions_of_a4():
    width, height = paper(True, 3000)
    assert (width, height) == pytest.approx((3000, 3000 / 2**0.5), rel=1e-3)
    assert paper(False, 10)[0] == pytest.approx(1190.55, abs=0.01)
