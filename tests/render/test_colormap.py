import numpy as np
import pytest

from xmir_cli.render.colormap import COLORMAPS, choose_colormap, colors, is_diverging, scale

# relative luminance, for "brighter is more"
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


def test_ends_of_the_maps_are_the_published_colours():
    assert colors(np.array([0.0, 1.0]), "inferno").tolist() == [[0, 0, 4], [252, 255, 164]]
    assert colors(np.array([0.0, 1.0]), "viridis").tolist() == [[68, 1, 84], [253, 231, 37]]
    assert colors(np.array([-1.0, 1.0]), "blue-red").tolist() == [[5, 48, 97], [103, 0, 31]]


@pytest.mark.parametrize("name", ["inferno", "viridis"])
def test_sequential_maps_only_ever_get_brighter(name):
    brightness = colors(np.linspace(0, 1, 64), name) @ LUMINANCE
    assert (np.diff(brightness) > 0).all()


def test_zero_is_the_middle_of_the_diverging_map():
    assert colors(np.array(0.0), "blue-red").tolist() == [247, 247, 247]


def test_swapped_signs_swap_blue_and_red():
    more, less = colors(np.array([0.8, -0.8]), "blue-red").astype(int)
    assert more[0] > more[2]
    assert less[2] > less[0]


@pytest.mark.parametrize("name", COLORMAPS)
def test_values_outside_are_drawn_as_the_ends(name):
    low = -1.0 if is_diverging(name) else 0.0
    outside = colors(np.array([low - 3, 3.0]), name)
    assert np.array_equal(outside, colors(np.array([low, 1.0]), name))


def test_colours_keep_the_shape_of_the_values():
    assert colors(np.zeros((3, 5)), "inferno").shape == (3, 5, 3)
    assert colors(np.zeros((3, 5)), "inferno").dtype == np.uint8


def test_signed_maps_are_drawn_diverging_and_others_sequential():
    assert choose_colormap(np.array([-0.1, 1.0])) == "blue-red"
    assert choose_colormap(np.array([0.0, 1.0])) == "inferno"


def test_scale_is_the_largest_absolute_value_and_never_zero():
    assert scale(np.array([-3.0, 2.0])) == 3.0
    assert scale(np.zeros(4)) == 1.0
