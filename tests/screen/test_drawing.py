"""Each way to draw a picture, decoded back to pixels."""

import re

import numpy as np
import pytest
from PIL import Image

from tests.screen import fakes
from xmir_cli.screen.blocks import draw_blocks
from xmir_cli.screen.iterm2 import draw_iterm2
from xmir_cli.screen.kitty import MOST_ROWS, draw_in_tmux, draw_kitty
from xmir_cli.screen.sixel import draw_sixel


def picture(width=37, height=26, colors=None, seed=0):
    """Random pixels with a hole in their midst."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (height, width, 4), dtype=np.uint8)
    if colors is not None:
        palette = rng.integers(0, 256, (colors, 3), dtype=np.uint8)
        pixels[:, :, :3] = palette[rng.integers(0, colors, (height, width))]
    pixels[:, :, 3] = 255
    pixels[4:9, 5:30] = 0
    return Image.fromarray(pixels)


def pixels(of):
    return np.asarray(of).astype(int)


def test_kitty_gets_the_very_pixels_in_pieces():
    given = picture(200, 100)
    ((found, columns, rows),) = fakes.decode_kitty(draw_kitty(given, 20, 5).encode())
    np.testing.assert_array_equal(pixels(found), pixels(given))
    assert (columns, rows) == (20, 5)


def test_iterm2_gets_the_very_pixels():
    given = picture(200, 100)
    ((found, columns, rows),) = fakes.decode_iterm2(draw_iterm2(given, 20, 5).encode())
    np.testing.assert_array_equal(pixels(found), pixels(given))
    assert (columns, rows) == (20, 5)


@pytest.mark.parametrize("size", [(37, 26), (1, 1), (6, 6), (5, 7), (300, 12)])
def test_sixels_of_few_colors_are_as_near_as_hundredths_are(size):
    given = picture(*size, colors=200)
    (found,) = fakes.decode_sixels(draw_sixel(given).encode())
    seen = pixels(given)[:, :, 3] > 0
    assert found.size == size
    np.testing.assert_array_equal(pixels(found)[:, :, 3] > 0, seen)
    assert np.abs(pixels(found) - pixels(given))[seen].max(initial=0) <= 8  # of 255


def test_sixels_of_nothing_draw_nothing():
    (found,) = fakes.decode_sixels(draw_sixel(Image.new("RGBA", (20, 14))).encode())
    assert found.size == (20, 14)
    assert pixels(found).max() == 0


def test_greys_are_as_near_in_sixels():
    ramp = np.broadcast_to(np.arange(256, dtype=np.uint8), (40, 256))
    (found,) = fakes.decode_sixels(draw_sixel(Image.fromarray(ramp).convert("RGBA")).encode())
    assert np.abs(pixels(found)[:, :, 0] - ramp).max() <= 4


@pytest.mark.parametrize(("colors", "far", "on_average"), [(256, 20, 5), (16, 90, 25)])
def test_sixels_of_many_colors_are_near(colors, far, on_average):
    y, x = np.mgrid[0:60, 0:90]
    given = np.stack([2 * x, 4 * y, 255 - x - y, np.full_like(x, 255)], axis=2).astype(np.uint8)
    text = draw_sixel(Image.fromarray(given), colors)
    (found,) = fakes.decode_sixels(text.encode())
    wrong = np.abs(pixels(found) - given.astype(int))
    assert wrong.max() <= far
    assert wrong.mean() < on_average
    assert len(set(re.findall(r"#(\d+);2;", text))) <= colors


def test_half_blocks_are_exact_in_24_bits():
    given = picture()
    found = fakes.decode_blocks(draw_blocks(given, exact=True).encode())
    np.testing.assert_array_equal(pixels(found), pixels(given))


def test_half_blocks_in_256_colors_are_the_nearest():
    given = picture(12, 8)
    found = pixels(fakes.decode_blocks(draw_blocks(given, exact=False).encode()))
    levels = (0, 95, 135, 175, 215, 255)
    palette = [(r, g, b) for r in levels for g in levels for b in levels]
    palette += [(8 + 10 * step,) * 3 for step in range(24)]
    for row, wanted in zip(found, pixels(given), strict=True):
        for cell, color in zip(row, wanted, strict=True):
            if color[3]:
                squares = ((np.array(palette) - color[:3]) ** 2).sum(axis=1)
                assert ((cell[:3] - color[:3]) ** 2).sum() == squares.min()
            assert (cell[3] > 0) == (color[3] > 0)


def test_lines_of_half_blocks_leave_the_terminal_as_it_was():
    lines = draw_blocks(picture(), exact=True).splitlines()
    assert len(lines) == 13
    assert all(line.endswith("\x1b[0m") for line in lines)


def test_in_tmux_the_picture_goes_past_and_characters_stand_for_it():
    given = picture(60, 40)
    text = draw_in_tmux(given, 6, 3)
    passed, _, cells = text.rpartition("\x1b\\")
    inner = "".join(
        part.removeprefix("\x1bPtmux;").replace("\x1b\x1b", "\x1b")
        for part in (passed + "\x1b\\").split("\x1b\\\x1bPtmux;")
    )
    ((found, columns, rows),) = fakes.decode_kitty(inner.removesuffix("\x1b\\").encode())
    np.testing.assert_array_equal(pixels(found), pixels(given))
    assert (columns, rows) == (6, 3)
    number = int(re.search(r"i=(\d+)", inner)[1])
    lines = cells.splitlines()
    color = f"\x1b[38;5;{number & 255}m"
    assert all(line.startswith(color) and line.count("\U0010eeee") == 6 for line in lines)
    marks = [line[len(color) + 1 : len(color) + 4] for line in lines]
    assert [each[:2] for each in marks] == ["\u0305\u0305", "\u030d\u0305", "\u030e\u0305"]
    table = [0x305, 0x30D, 0x30E, 0x310, 0x312, 0x33D, 0x33E, 0x33F, 0x346, 0x34A, 0x34B, 0x34C]
    table += [0x350, 0x351, 0x352, 0x357, 0x35B, *range(0x363, 0x370)]
    assert {each[2] for each in marks} == {chr(table[number >> 24])}
    assert draw_in_tmux(given, 2, MOST_ROWS).count("\n") == MOST_ROWS


def test_two_pictures_in_tmux_have_two_names():
    numbers = {draw_in_tmux(picture(8, 8), 1, 1).partition("i=")[2][:10] for _ in range(8)}
    assert len(numbers) > 4
