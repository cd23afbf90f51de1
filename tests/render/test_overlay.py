import numpy as np
import pytest
from PIL import Image

from xmir_cli.render.colormap import choose_colormap
from xmir_cli.render.overlay import Display, map_layer, overlay, to_rgb


def flat(size, value=100):
    return Image.new("L", size, value)


def changed(drawn, plain):
    """Where the overlay differs from the picture [H, W]."""
    return (np.asarray(drawn).astype(int) != np.asarray(to_rgb(plain))).any(axis=2)


def test_overlay_has_the_size_of_the_original_and_leaves_it_alone():
    picture = flat((70, 50))
    drawn = overlay(picture, np.ones((8, 8)), (10, 0, 50, 50), Display())
    assert (drawn.size, drawn.mode) == ((70, 50), "RGB")
    assert picture.getextrema() == (100, 100)


def test_map_lies_where_the_network_looked():
    saliency = np.zeros((10, 10), np.float32)
    saliency[2, 7] = 1  # row 2, column 7 of ten
    picture = flat((200, 100))
    drawn = np.asarray(overlay(picture, saliency, (50, 0, 100, 100), Display())).astype(int)
    inside = np.abs(drawn - 100).sum(axis=2)[1:-1, 51:149]  # without the frame
    row, column = divmod(int(inside.argmax()), 98)
    assert (row + 1, column + 51) == (pytest.approx(24.5, abs=1), pytest.approx(124.5, abs=1))


def test_outside_the_crop_the_picture_is_unchanged_and_a_frame_marks_the_crop():
    picture = flat((200, 100))
    marks = changed(overlay(picture, np.zeros((10, 10)), (50, 0, 100, 100), Display()), picture)
    assert not marks[:, :50].any()
    assert not marks[:, 150:].any()
    assert marks[:, 50].all()
    assert marks[:, 149].all()
    assert not marks[1:-1, 51:149].any()  # a map of zeros is transparent


def test_crop_of_the_whole_picture_gets_no_frame():
    picture = flat((100, 100))
    assert not changed(
        overlay(picture, np.zeros((8, 8)), (0, 0, 100, 100), Display()), picture
    ).any()


def test_crop_reaching_beyond_the_picture_is_cut():
    saliency = np.zeros((10, 10), np.float32)
    saliency[:, :5] = 1  # the left half, of which half lies outside
    picture = flat((100, 100))
    marks = changed(overlay(picture, saliency, (-50, -50, 200, 200), Display()), picture)
    assert marks[:, :48].all()
    assert not marks[:, 62:].any()


def test_crop_beside_the_picture_draws_nothing():
    picture = flat((20, 20))
    assert not changed(overlay(picture, np.ones((4, 4)), (30, 0, 10, 10), Display()), picture).any()


def test_larger_values_are_more_opaque():
    saliency = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (64, 1))
    picture = flat((64, 64), 255)
    drawn = overlay(picture, saliency, (0, 0, 64, 64), Display("viridis", 1.0))
    distance = np.abs(np.asarray(drawn).astype(int) - 255).sum(axis=2)[32]
    assert distance[0] == 0
    assert distance[20] > distance[14] > 0


def test_scale_of_the_map_does_not_change_the_picture():
    saliency = np.random.default_rng(0).random((8, 8)).astype(np.float32)
    picture, roi = flat((40, 40)), (0, 0, 40, 40)
    drawn = overlay(picture, saliency, roi, Display())
    assert np.array_equal(drawn, overlay(picture, saliency * 8, roi, Display()))
    fainter = overlay(picture, saliency, roi, Display(), largest=4.0)
    assert changed(fainter, picture).sum() < changed(drawn, picture).sum()


def test_signed_map_is_red_for_and_blue_against():
    saliency = np.zeros((8, 8), np.float32)
    saliency[:, :4], saliency[:, 4:] = 1, -1
    drawn = np.asarray(overlay(flat((80, 80)), saliency, (0, 0, 80, 80), Display())).astype(int)
    assert drawn[40, 10, 0] > drawn[40, 10, 2]
    assert drawn[40, 70, 2] > drawn[40, 70, 0]


def test_sequential_colours_leave_negative_values_transparent():
    picture = flat((20, 20))
    drawn = overlay(picture, -np.ones((4, 4)), (0, 0, 20, 20), Display("inferno"))
    assert not changed(drawn, picture).any()


def test_deep_greys_are_clipped_to_8_bits():
    deep = Image.fromarray(np.array([[-5.0, 127.6, 300.0]], np.float32))
    assert np.asarray(to_rgb(deep))[0, :, 0].tolist() == [0, 128, 255]


def test_copy_carries_nothing_of_the_sources_metadata():
    picture = flat((4, 4))
    picture.info["patient"] = "secret"
    assert to_rgb(picture).info == {}


@pytest.mark.parametrize("lowest", [0.0, -1.0])
def test_a_map_alone_over_the_picture_is_the_overlay(lowest):
    """To within what 256 levels leave: 2 of 255."""
    saliency = np.linspace(lowest, 1, 48 * 48, dtype=np.float32).reshape(48, 48)
    picture = flat((48, 48))
    drawn = overlay(picture, saliency, (0, 0, 48, 48), Display(alpha=1.0))
    layer = map_layer(saliency, choose_colormap(saliency), 1.0)
    assert layer.mode == "P"
    page = to_rgb(picture).convert("RGBA")
    page.alpha_composite(layer.convert("RGBA"))
    difference = np.asarray(page)[..., :3].astype(int) - np.asarray(drawn)
    assert np.abs(difference).max() <= 2
