"""Random views: where they may lie, what decides them, what they must not change."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from xmir_cli.images.picture import Picture
from xmir_cli.pictures.view import (
    resize_picture,
    square_picture,
    three_channels,
    view_picture,
)
from xmir_cli.training import augment as augmenting
from xmir_cli.training.augment import augment, draw_crop
from xmir_cli.training.recipe import Augmentation

NOTHING = Augmentation(flip=False)


def picture(width: int = 50, height: int = 36, mode: str = "L") -> Picture:
    ramp = np.add.outer(np.arange(height), 3 * np.arange(width)).astype(np.uint8)
    return Picture(Image.fromarray(ramp).convert(mode), width, height, ())


def test_without_augmentation_the_view_is_the_one_of_the_evaluation(embedder):
    resized = resize_picture(picture(), embedder.recipe)
    view = augment(resized, embedder.recipe, NOTHING, np.random.default_rng(0))
    assert np.array_equal(view.pixels, view_picture(picture(), embedder.recipe).pixels)


@pytest.mark.parametrize("mode", ["L", "RGB", "F"])
def test_flips_mirror_about_half_of_the_views(embedder, mode):
    resized = resize_picture(picture(mode=mode), embedder.recipe)
    plain = view_picture(resized, embedder.recipe).pixels
    views = [
        augment(resized, embedder.recipe, Augmentation(), np.random.default_rng(seed)).pixels
        for seed in range(100)
    ]
    flipped = sum(np.array_equal(view, plain[:, ::-1]) for view in views)
    assert flipped + sum(np.array_equal(view, plain) for view in views) == 100
    assert 35 < flipped < 65


@pytest.mark.parametrize("mode", ["L", "RGB", "F"])
def test_random_resized_crops_have_the_size_of_the_input_and_differ(embedder, mode):
    resized = resize_picture(picture(mode=mode), embedder.recipe)
    before = resized.pixels.tobytes()
    settings = Augmentation(random_resized_crop=True)
    first, again, other = (
        augment(resized, embedder.recipe, settings, np.random.default_rng(seed)).pixels
        for seed in (1, 1, 2)
    )
    assert first.shape == (32, 32, 3)
    assert first.dtype == np.float32
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert resized.pixels.tobytes() == before


def test_a_padded_view_is_augmented_from_the_square_that_the_network_sees(embedder, monkeypatch):
    recipe = replace(embedder.recipe, resize=32, view="pad")
    whole = []
    monkeypatch.setattr(
        augmenting, "draw_crop", lambda *size: whole.append(size[:2]) or (0, 0, *size[:2])
    )
    for width, height in ((50, 36), (36, 50)):
        resized = resize_picture(picture(width, height), recipe)
        view = augment(resized, recipe, Augmentation(True, False), np.random.default_rng(0))
        assert np.array_equal(view.pixels, view_picture(picture(width, height), recipe).pixels)
    assert whole == [(32, 32), (32, 32)]


def test_boxes_lie_inside_and_keep_area_and_shape():
    rng = np.random.default_rng(0)
    for _ in range(500):
        left, top, right, bottom = draw_crop(256, 300, rng)
        assert 0 <= left < right <= 256
        assert 0 <= top < bottom <= 300
        wide, high = right - left, bottom - top
        assert 0.078 < wide * high / (256 * 300) <= 1
        assert 0.73 < wide / high < 1.37


def test_boxes_reach_every_border_and_both_ends_of_the_area():
    rng = np.random.default_rng(0)
    boxes = [draw_crop(64, 64, rng) for _ in range(3000)]
    areas = [(right - left) * (bottom - top) / 64**2 for left, top, right, bottom in boxes]
    assert min(areas) < 0.1
    assert max(areas) > 0.9
    assert {min(box[0] for box in boxes), min(box[1] for box in boxes)} == {0}
    assert {max(box[2] for box in boxes), max(box[3] for box in boxes)} == {64}


@pytest.mark.parametrize(
    ("width", "height", "box"),
    [(1000, 30, (480, 0, 520, 30)), (30, 1000, (0, 480, 30, 520)), (1, 1, (0, 0, 1, 1))],
)
def test_a_very_long_picture_gives_its_middle(width, height, box):
    boxes = {draw_crop(width, height, np.random.default_rng(seed)) for seed in range(20)}
    assert box in boxes


def test_boxes_have_the_spread_of_torchvisions():
    """The means of size and place over many draws agree with torchvision's own."""
    torch = pytest.importorskip("torch")
    transforms = pytest.importorskip("torchvision.transforms")
    torch.manual_seed(0)
    image, rng = torch.zeros(1, 256, 320), np.random.default_rng(0)
    get = transforms.RandomResizedCrop.get_params
    theirs = np.array([get(image, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(4000)])
    ours = np.array([draw_crop(320, 256, rng) for _ in range(4000)])
    ours = np.stack([ours[:, 1], ours[:, 0], ours[:, 3] - ours[:, 1], ours[:, 2] - ours[:, 0]], 1)
    assert np.allclose(ours.mean(axis=0), theirs.mean(axis=0), atol=4)
    assert np.allclose(ours.std(axis=0), theirs.std(axis=0), atol=4)


@pytest.mark.parametrize("view", ["crop", "pad"])
def test_shifted_squares_lie_anywhere_in_the_picture(embedder, view):
    recipe = replace(embedder.recipe, input_size=32, resize=36, view=view)
    resized = resize_picture(picture(50, 36), recipe)
    whole = resized.pixels if view == "crop" else square_picture(resized)
    seen = three_channels(whole)
    corners = set()
    for seed in range(300):
        settings = Augmentation(flip=False, shift=True)
        shown = augment(resized, recipe, settings, np.random.default_rng(seed)).pixels
        places = [
            (left, top)
            for left in range(whole.width - 31)
            for top in range(whole.height - 31)
            if np.array_equal(seen[top : top + 32, left : left + 32], shown)
        ]
        assert places
        corners.update(places)
    lefts, tops = ({corner[side] for corner in corners} for side in (0, 1))
    assert lefts == set(range(whole.width - 31))
    assert tops == set(range(whole.height - 31))


def test_a_square_larger_than_the_picture_is_not_shifted(embedder):
    recipe = replace(embedder.recipe, input_size=32, resize=20)
    resized = resize_picture(picture(50, 36), recipe)
    settings = Augmentation(flip=False, shift=True)
    assert np.array_equal(
        augment(resized, recipe, settings, np.random.default_rng(0)).pixels,
        view_picture(picture(50, 36), recipe).pixels,
    )
