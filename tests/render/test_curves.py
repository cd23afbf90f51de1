import numpy as np

from xmir_cli.render.curves import DELETION, INSERTION, draw_curves

X = [0.0, 0.5, 1.0]


def where(picture, color):
    """Rows and columns of the curve's pixels; the legend above them left out."""
    away = np.abs(np.asarray(picture, dtype=int)[60:] - color).max(axis=2)
    return np.nonzero(away < 40)


def test_each_curve_is_drawn_where_its_values_lie():
    picture = draw_curves("a", (X, [1.0, 1.0, 1.0], 1.0), (X, [0.0, 0.0, 0.0], 0.0))
    (top, _), (bottom, columns) = where(picture, INSERTION), where(picture, DELETION)
    assert bottom.mean() - top.mean() == 360
    assert np.ptp(columns) > 350


def test_a_long_title_is_cut_to_the_width():
    curve = (X, [0.5, 0.5, 0.5], 0.5)
    short, long = draw_curves("a", curve, curve), draw_curves("long " * 60, curve, curve)
    assert short.size == long.size
    title = np.asarray(long)[:34] < 128
    assert not title[:, -10:].any()
