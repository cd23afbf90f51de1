import numpy as np
from PIL import Image

from xmir_cli.render.overlay import Display
from xmir_cli.render.panels import SIDE, Panel, PanelRow, figure


def panel(color, caption="a caption"):
    return Panel(Image.new("RGB", (16, 16), color), [(None, caption)])


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
    page = figure([PanelRow("", [panel((9, 9, 9))], Display("cold-warm"), 0.5)], 1)
    inside = np.asarray(page).astype(int)[:, SIDE + 34 : SIDE + 44]  # columns of the bar
    bar = (inside == 110).all(axis=(1, 2)).nonzero()[0]  # nothing over the grey below
    assert inside[bar[0] - 60].mean(axis=0)[0] > inside[bar[0] - 60].mean(axis=0)[2]  # red above
    assert inside[bar[-1] + 60].mean(axis=0)[0] < inside[bar[-1] + 60].mean(axis=0)[2]
    picture = has(page, (9, 9, 9)).any(axis=1).nonzero()[0]
    assert abs(bar.mean() - picture.mean()) < 2


def ink(picture) -> np.ndarray:
    return np.asarray(picture.convert("L")) < 128


def test_long_names_stay_within_their_panel_and_go_on_in_further_lines():
    name = "a-class-with-a-very-long-name-that-would-run-into-its-neighbour"
    short, long = (
        figure([PanelRow("row", [panel((9, 9, 9), each), panel((8, 8, 8), each)])], columns=2)
        for each in ("short", name)
    )
    assert long.height > short.height
    assert not ink(long)[50:, 16 + SIDE + 2 : 16 + SIDE + 14].any()
    endless = figure([PanelRow(name * 9, [panel((9, 9, 9), name * 99)])], columns=1)
    assert endless.height < 950
    assert not ink(endless)[:, -8:].any()
    assert not ink(endless)[-8:].any()


def test_every_line_of_a_row_has_its_bar():
    shades = [(10, 20, 30), (40, 50, 60), (70, 80, 90)]
    page = figure([PanelRow("", [*map(panel, shades)], Display("embers"))], columns=2)
    bar = np.asarray(page)[:, 2 * (SIDE + 16) + 20]
    assert ((bar[1:] != 255).any(axis=1) & (bar[:-1] == 255).all(axis=1)).sum() == 2


def test_words_may_have_a_square_of_their_colour():
    page = figure([PanelRow("", [Panel(Image.new("RGB", (9, 9)), [((200, 10, 20), "more")])])], 1)
    assert has(page, (200, 10, 20)).sum() == 13 * 13


def test_same_input_same_picture():
    rows = [PanelRow("row", [panel((9, 9, 9))], Display("embers"), 2.0)]
    assert figure(rows, 1).tobytes() == figure(rows, 1).tobytes()
