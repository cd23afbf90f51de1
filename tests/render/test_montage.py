"""Pages: nothing leaves its place, and rows go on below where they are long."""

import numpy as np
import pytest
from PIL import Image

from xmir_cli.render.footer import LegendItem, draw_bars, draw_legend
from xmir_cli.render.montage import (
    QUERY,
    ColorBar,
    Group,
    PageLayout,
    Tile,
    draw_header,
    draw_row,
    fit_picture,
    stack,
)
from xmir_cli.render.overlay import Display

LONG = "a-very-long-name_of_a_picture/" * 8


def ink(strip, columns=slice(None)):
    return (np.asarray(strip.convert("L"))[:, columns] < 100).any()


@pytest.mark.parametrize(
    ("hits", "titles", "per_line"),
    [(1, 1, 1), (3, 1, 3), (12, 1, 6), (12, 2, 4), (3, 3, 3), (3, 4, 1), (5, 2, 3), (2, 12, 1),
     (50, 2, 4)],
)  # fmt: skip
def test_hits_go_on_in_lines_that_they_fill(hits, titles, per_line):
    layout = PageLayout(100, ["x"] * titles, hits)
    assert layout.per_line == per_line
    last = layout.left(per_line) + layout.group_width(titles)
    assert last <= layout.width


def test_long_titles_and_captions_stay_in_their_columns():
    layout = PageLayout(100, ["retrieved", LONG], 2)
    header = draw_header(layout)
    for number in (1, 2):
        beyond = layout.left(number) + layout.group_width(2)
        assert not ink(header, slice(beyond, beyond + 10))
    group = Group([Tile(Image.new("RGB", (9, 9))), Tile(None, LONG)], QUERY, [LONG, "", "label"])
    query = Group([Tile(Image.new("RGB", (9, 9)))], QUERY, [LONG])
    row = stack(draw_row(query, [group, group], layout), layout.width)
    for number in range(3):
        width = layout.group_width(2) if number else layout.query_width
        beyond = layout.left(number) + width
        assert not ink(row, slice(beyond, beyond + 10))
    assert not ink(row.crop((0, row.height - 8, row.width, row.height)))


def test_a_row_is_as_high_as_its_longest_caption():
    layout = PageLayout(100, ["retrieved"], 1)
    tile = Tile(Image.new("RGB", (9, 9)))
    heights = [
        draw_row(Group([tile], QUERY, lines), [Group([tile], QUERY, ["a"])], layout)[0].height
        for lines in (["a"], ["a", "b"], [LONG])
    ]
    assert heights[0] < heights[1] < heights[2]


@pytest.mark.parametrize("width", [480, 700, 2000])
@pytest.mark.parametrize("count", [1, 3, 7])
def test_bars_and_legend_stay_on_the_page(width, count):
    bars = [ColorBar(LONG, "cold-warm", 123456.7, 1e9, ("lowers", "raises"))] * count
    strip = draw_bars(bars, width, 14, Display(start=0.1))
    assert strip.width == width
    assert not ink(strip, slice(width - 8, width))
    legend = draw_legend(
        [LegendItem(LONG, QUERY), LegendItem("plain"), LegendItem("more", QUERY)] * count, width, 14
    )
    assert not ink(legend, slice(width - 8, width))
    assert not ink(legend.crop((0, legend.height - 6, width, legend.height)))


def test_a_picture_keeps_its_shape():
    fitted = np.asarray(fit_picture(Image.new("RGB", (40, 20), "white"), 100))
    assert fitted.shape == (100, 100, 3)
    assert (fitted[25:75] == 255).all()
    assert (fitted[:25] == 0).all()


@pytest.mark.parametrize("side", [48, 64, 224])
def test_notes_are_whole_however_small_their_place(side):
    tile = Tile(Image.new("RGB", (9, 9), (90, 90, 90)), "blank map: 0 everywhere")
    layout = PageLayout(side, ["retrieved"], 1)
    (row,) = draw_row(Group([tile], QUERY, []), [Group([tile], QUERY, [])], layout)
    top = layout.left_of_tile(0)
    left = layout.left(1) + top
    square = np.asarray(row.convert("L"))[top : top + side, left : left + side]
    assert (square > 180).any()
    assert (square[-2:] < 100).all()
    assert not (square[:, :2] > 200).any()


@pytest.mark.parametrize("side", [48, 60])
def test_words_of_titles_are_not_broken(side):
    narrow, wide = (draw_header(PageLayout(side, [title], 1)) for title in ("retrieved", "r"))
    assert narrow.height <= wide.height


def test_a_legend_draws_what_is_a_line_as_one_and_says_what_a_page_is_for():
    color = (200, 200, 200)
    for shape in ("frame", "ring"):
        legend = np.asarray(
            draw_legend([LegendItem("what the network saw", color, shape)], 600, 20)
        )
        line = (legend == color).all(axis=2)
        assert 0 < line.sum() < 150
        assert (legend[line.any(axis=1)][:, line.any(axis=0)] == 60).any()  # dark within
    assert ink(draw_legend([], 600, 20))
