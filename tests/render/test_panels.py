import numpy as np
from PIL import Image

from xmir_cli.render.panels import SIDE, Panel, PanelRow, figure


def panel(color, caption="a caption"):
    return Panel(caption, Image.new("RGB", (16, 16), color))


def has(page, color):
    return (np.asarray(page) == np.array(color)).all(axis=2)


def test_every_panel_is_drawn_once_at_full_size():
    shades = [(10, 20, 30), (40, 50, 60), (70, 80, 90), (100, 110, 120), (130, 140, 150)]
    rows = [
        PanelRow("two", [panel(shade) for shade in shades[:2]]),
        PanelRow("three", [*map(panel, shades[2:])]),
    ]
    page = figure(rows, columns=2)
    assert all(has(page, shade).sum() == SIDE * SIDE for shade in shades)


def test_row_longer_than_the_page_continues_below():
    shades = [(10, 20, 30), (40, 50, 60), (70, 80, 90)]
    page = figure([PanelRow("three", [panel(shade) for shade in shades])], columns=2)
    tops = [int(has(page, shade).any(axis=1).argmax()) for shade in shades]
    assert tops[0] == tops[1]
    assert tops[2] >= tops[0] + SIDE


def test_colour_bar_has_zero_in_the_middle_of_a_signed_row():
    page = figure([PanelRow("", [panel((9, 9, 9))], "blue-red", 0.5)], 1)
    inside = np.asarray(page).astype(int)[:, SIDE + 34 : SIDE + 44]  # columns of the bar
    bar = (np.abs(inside - 247) <= 2).all(axis=(1, 2)).nonzero()[0]
    picture = has(page, (9, 9, 9)).any(axis=1).nonzero()[0]
    assert abs(bar.mean() - picture.mean()) < 2


def test_long_names_stay_within_their_panel():
    name = "a-class-with-a-very-long-name-that-would-run-into-its-neighbour" * 3
    page = figure([PanelRow(name, [panel((9, 9, 9), name), panel((8, 8, 8), name)])], columns=2)
    dark = np.asarray(page.convert("L")) < 128
    gap = dark[:, 16 + SIDE + 2 : 16 + SIDE + 14]
    assert not gap[40:].any()


def test_same_input_same_picture():
    rows = [PanelRow("row", [panel((9, 9, 9))], "inferno", 2.0)]
    assert figure(rows, 1).tobytes() == figure(rows, 1).tobytes()
