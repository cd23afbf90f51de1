import numpy as np
import pytest

from xmir_cli.render.drawing import PALETTE, Drawing
from xmir_cli.render.plane import Plane, ticks

PLANE = Plane(10, 10, 100, 50, (1, 11), (0, 2))


def test_values_lie_between_the_edges_and_what_is_beyond_at_them():
    assert PLANE.place(1, 0) == (10, 60)
    assert PLANE.place(6, 1) == (60, 35)
    assert PLANE.place(11, 9) == (110, 10)
    assert PLANE.place(1, -9) == (10, 60)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 0.163, [0, 0.05, 0.1, 0.15, 0.2]),
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.512, 0.861, [0.5, 0.6, 0.7, 0.8, 0.9]),
        (0.8, 0.8, [0, 0.2, 0.4, 0.6, 0.8]),
        (0, 0, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 3e4, [0, 1e4, 2e4, 3e4]),
        (-0.25, 1, [-0.5, 0, 0.5, 1]),
    ],
)
def test_places_of_an_axis_are_round_and_reach_around_the_values(low, high, expected):
    assert ticks(low, high, 5) == pytest.approx(expected)


def test_an_axis_never_has_many_places():
    values = (
        np.random.default_rng(0).normal(size=(200, 2))
        * 10.0 ** np.arange(-8, 12).repeat(10)[:, None]
    )
    for low, high in np.sort(values, axis=1):
        found = ticks(float(low), float(high), 5)
        assert 2 <= len(found) <= 7
        assert found[0] <= low + abs(low) * 1e-6
        assert found[-1] >= high - abs(high) * 1e-6


def dots(points) -> int:
    drawing = Drawing(200, 100, "a")
    PLANE.draw_curve(drawing, points, PALETTE[0])
    return drawing.encode(".svg").count(b"<circle")


def test_what_has_no_number_leaves_a_gap():
    drawing = Drawing(200, 100, "a")
    points = [(1, 0.0), (2, 1.0), (3, None), (4, 1.0), (6, None), (8, 1.0), (11, 2.0)]
    PLANE.draw_curve(drawing, points, PALETTE[0])
    svg = drawing.encode(".svg").decode()
    assert svg.count("<polyline") == 2
    assert svg.count("<circle") == 5
    assert "20.00,35.00 40.00" not in svg


def test_many_values_are_a_line_without_dots():
    many = [(place / 10, 1.0) for place in range(10, 110)]
    assert dots(many) == 0
    assert dots([*many, (10.9, None), (11, 1.0)]) == 1  # one that stands alone is seen
