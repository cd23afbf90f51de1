import numpy as np
import pytest

from xmir_cli.render.colormap import COLORMAPS, choose_colormap, colors, is_diverging, scale
from xmir_cli.render.overlay import Display, tint

# relative luminance, for "brighter is more"
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


def test_ends_of_the_maps_are_the_published_colours():
    assert colors(np.array([0.0, 1.0]), "inferno").tolist() == [[0, 0, 4], [252, 255, 164]]
    assert colors(np.array([0.0, 1.0]), "viridis").tolist() == [[68, 1, 84], [253, 231, 37]]
    assert colors(np.array([-1.0, 1.0]), "blue-red").tolist() == [[5, 48, 97], [103, 0, 31]]


@pytest.mark.parametrize("name", ["embers", "inferno", "viridis"])
def test_sequential_maps_only_ever_get_brighter(name):
    brightness = colors(np.linspace(0, 1, 64), name) @ LUMINANCE
    assert (np.diff(brightness) > -0.05).all()  # as far as 8 bits tell


@pytest.mark.parametrize("name", ["cold-warm", "blue-red"])
def test_zero_is_the_middle_of_the_diverging_map(name):
    assert colors(np.array(0.0), name).tolist() == [247, 247, 247]


@pytest.mark.parametrize("name", ["cold-warm", "blue-red"])
def test_swapped_signs_swap_blue_and_red(name):
    more, less = colors(np.array([0.8, -0.8]), name).astype(int)
    assert more[0] > more[2]
    assert less[2] > less[0]


@pytest.mark.parametrize("name", COLORMAPS)
def test_values_outside_are_drawn_as_the_ends(name):
    low = -1.0 if is_diverging(name) else 0.0
    outside = colors(np.array([low - 3, 3.0]), name)
    assert np.array_equal(outside, colors(np.array([low, 1.0]), name))


GROUNDS = [
    (30, 30, 30),
    (70, 70, 70),
    (128, 128, 128),
    (225, 225, 225),
    (205, 150, 130),
    (105, 65, 50),
]


def lightness(rgb: np.ndarray) -> np.ndarray:
    """Colours of 8 bits in CIE L*a*b*, in which distances are as large as they look."""
    share = rgb / 255
    linear = np.where(share > 0.04045, ((share + 0.055) / 1.055) ** 2.4, share / 12.92)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    white = linear @ to_xyz.T / [0.9505, 1, 1.089]
    x, y, z = np.moveaxis(np.cbrt(white), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


@pytest.mark.parametrize("ground", GROUNDS)  # lungs, bone, skin and a mole
@pytest.mark.parametrize(("name", "sign"), [("embers", 1), ("cold-warm", 1), ("cold-warm", -1)])
def test_on_any_ground_larger_values_look_more_different_from_it(ground, name, sign):
    under = np.full((3, 1, 3), ground, dtype=float)
    values = np.array([[0.3], [0.6], [1.0]]) * sign
    found = tint(under, values, Display(name)).astype(float)
    low, middle, high = np.linalg.norm(lightness(found) - lightness(under), axis=-1)[:, 0]
    assert low < middle < high
    assert high > 25


def test_colours_keep_the_shape_of_the_values():
    assert colors(np.zeros((3, 5)), "inferno").shape == (3, 5, 3)
    assert colors(np.zeros((3, 5)), "inferno").dtype == np.uint8


def test_signed_maps_are_drawn_diverging_and_others_sequential():
    assert choose_colormap(np.array([-0.1, 1.0])) == "cold-warm"
    assert choose_colormap(np.array([0.0, 1.0])) == "embers"


def test_scale_is_the_largest_absolute_value_and_never_zero():
    assert scale(np.array([-3.0, 2.0])) == 3.0
    assert scale(np.zeros(4)) == 1.0
