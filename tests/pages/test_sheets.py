"""Rows on sheets: none is higher than its room, and what is longer goes on on the next."""

import pytest
from PIL import Image

from xmir_cli.pages.sheets import Paging, for_paper
from xmir_cli.render.montage import PageLayout
from xmir_cli.render.pdf import paper


def heights(rows, *lines):
    """Of the sheets of rows whose lines are so high."""
    layout = PageLayout(100, ["retrieved"], 3)
    strips = [[Image.new("1", (layout.width, high)) for high in row] for row in lines]
    edge = Image.new("1", (layout.width, 10))
    return [sheet.height - 20 for sheet in Paging(layout, edge, edge, rows).fill(strips)]


def test_a_sheet_has_so_many_rows():
    assert heights(2, [5], [6, 1], [7]) == [12, 7]
    assert heights(9, [5], [6, 1], [7]) == [19]


@pytest.mark.parametrize("rows", [None, 9])
def test_a_row_that_is_higher_than_a_sheet_goes_on_on_the_next(rows):
    room = 16_000 if rows else int(paper(False, PageLayout(100, ["x"], 3).width)[1]) - 20
    high = room // 3
    assert heights(rows, [9], [high] * 7, [9]) == [9, 3 * high, 3 * high, high + 9]


def test_wide_sheets_are_less_high_for_they_are_held_in_memory():
    layout = PageLayout(2048, ["retrieved"], 9)
    strips = [[Image.new("1", (layout.width, 2100))]] * 4
    edge = Image.new("1", (layout.width, 10))
    sheets = list(Paging(layout, edge, edge, 9).fill(strips))
    assert [sheet.height for sheet in sheets] == [2120] * 4
    assert max(sheet.width * sheet.height for sheet in sheets) < 1 << 27


def test_a_row_stays_whole_where_it_can():
    room = 16_000
    assert heights(9, [room // 2], [room // 3, room // 3]) == [room // 2, 2 * (room // 3)]


@pytest.mark.parametrize("side", [32, 100, 224, 1000])
@pytest.mark.parametrize("titles", [1, 2, 3, 9])
@pytest.mark.parametrize("hits", [1, 3, 5, 50])
def test_letters_on_paper_are_7_points_or_more(side, titles, hits):
    layout = for_paper(PageLayout(side, ["x"] * titles, hits))
    landscape = layout.tiles > 5
    points = (277 if landscape else 190) / 25.4 * 72 / paper(landscape, layout.width)[0]
    assert layout.text * points > 6.99
