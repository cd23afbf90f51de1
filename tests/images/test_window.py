"""The VOI arithmetic against the standard's own pseudo-code, and by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xmir_cli.images.window import (
    Function,
    Voi,
    apply_choice,
    apply_window,
    choose_scale,
    find_limits,
    stretch,
)


def by_the_standard(x: float, c: float, w: float, function: Function) -> float:
    """PS3.3 C.11.2.1.2.1, C.11.2.1.3.1 and C.11.2.1.3.2, with y from 0 to 255."""
    if function == "SIGMOID":
        return 255 / (1 + np.exp(min(-4 * (x - c) / w, 300)))
    if function == "LINEAR_EXACT":
        if x <= c - w / 2:
            return 0
        return 255 if x > c + w / 2 else ((x - c) / w + 0.5) * 255
    if x <= c - 0.5 - (w - 1) / 2:
        return 0
    return 255 if x > c - 0.5 + (w - 1) / 2 else ((x - (c - 0.5)) / (w - 1) + 0.5) * 255


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.lists(st.integers(-4000, 4000), min_size=1, max_size=8),
    st.integers(-2000, 2000),
    st.integers(1, 4000),
    st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
)
def test_windows_are_those_of_the_standard(values, center, width, function):
    expected = [by_the_standard(x, center, width, function) for x in values]
    found = apply_window(np.array(values), Voi(center, width, function))
    assert found.dtype == np.float32
    assert np.allclose(found, expected, atol=0.01)


def test_a_lung_window_by_hand():
    # centre -600, width 1500: black up to -1350, white above 149
    found = apply_window(np.array([-2000, -1350, -600.5, 149, 3000]), Voi(-600, 1500))
    assert found.tolist() == pytest.approx([0, 0, 127.5, 255, 255])


def test_a_width_of_one_is_a_threshold():
    assert apply_window(np.array([9, 10, 11]), Voi(10, 1)).tolist() == [0, 255, 255]


@pytest.mark.parametrize(
    "voi", [Voi(0, 0), Voi(0, 0.5), Voi(float("nan"), 9), Voi(0, float("inf")), Voi(0, -3)]
)
def test_widths_that_the_standard_forbids_are_not_usable(voi):
    assert not voi.usable
    assert Voi(0, 0.5, "LINEAR_EXACT").usable


def test_stretching_puts_the_limits_at_black_and_white():
    assert stretch(np.array([-5, 0, 5, 10, 20]), 0, 10).tolist() == [0, 0, 127.5, 255, 255]
    assert stretch(np.array([3, 3]), 3, 3).tolist() == [0, 0]


def test_limits_are_percentiles():
    values = np.arange(101)
    assert find_limits(values) == (0, 100)
    assert find_limits(values, 5, 90) == (5, 90)
    assert find_limits(np.array([])) == (0, 0)


def test_a_chosen_width_counts_steps_of_whole_numbers_but_not_of_fractions():
    whole, fractions = np.array([0, 50, 100]), np.array([0, 0.5, 1])
    assert apply_choice(whole, whole, "50.5,101")[0].tolist() == [0, 127.5, 255]
    scale, done = choose_scale(fractions, "0.5,1", whole=False)
    assert (scale(fractions).tolist(), done) == ([0, 127.5, 255], ["window 0.5,1"])
    assert apply_choice(fractions, fractions, "0.5,0.5")[0].tolist() == [0, 127.5, 255]


def test_large_whole_numbers_keep_their_steps():
    values = np.array([3_000_000_000, 3_000_000_001, 3_000_000_003], np.uint32)
    shown, done = apply_choice(values, values, "minmax")
    assert shown.tolist() == [0, 85, 255]
    assert done == ["window 3000000000..3000000003"]
