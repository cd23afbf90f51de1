"""Noisy linear imputation against the dense system of its paper."""

import numpy as np
import pytest
import torch

from xmir_cli.metrics.impute import TOLERANCE, impute

WEIGHTS = {
    (row, column): 1 / 6 if row == 0 or column == 0 else 1 / 12
    for row in (-1, 0, 1)
    for column in (-1, 0, 1)
    if (row, column) != (0, 0)
}


def dense(image, hidden):
    """Each hidden pixel's equation written out, all of them solved at once."""
    height, width = hidden.shape
    places = {(int(y), int(x)): number for number, (y, x) in enumerate(np.argwhere(hidden))}
    system, right = np.zeros((len(places), len(places))), np.zeros((len(places), len(image)))
    for (y, x), number in places.items():
        for (down, across), weight in WEIGHTS.items():
            row, column = y + down, x + across
            if not (0 <= row < height and 0 <= column < width):
                continue
            system[number, number] += weight
            if (row, column) in places:
                system[number, places[row, column]] -= weight
            else:
                right[number] += weight * image[:, row, column]
    filled = image.copy()
    for (y, x), values in zip(places, np.linalg.solve(system, right), strict=True):
        filled[:, y, x] = values
    return filled


def an_image(height, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3, height, width, generator=generator, dtype=torch.float64)


def masks(height, width):
    """Scattered pixels, a blob, all but a corner, all but one pixel amid them, none."""
    rows, columns = np.mgrid[:height, :width]
    scattered = np.random.default_rng(0).random((height, width)) < 0.5
    blob = np.hypot(rows - height / 3, columns - width / 2) < min(height, width) / 3
    corner = (rows > 1) | (columns > 1)
    one = (rows != height // 2) | (columns != width // 3)
    return np.stack([scattered, blob, corner, one, np.zeros_like(blob)])


@pytest.mark.parametrize("shape", [(16, 16), (9, 13), (1, 7), (5, 2), (31, 20), (24, 33)])
def test_it_equals_the_dense_system(shape):
    image, hidden = an_image(*shape), masks(*shape)
    found = impute(image, torch.from_numpy(hidden), tolerance=1e-9)
    for each, mask in zip(found, hidden, strict=True):
        assert np.allclose(each, dense(image.numpy(), mask), atol=1e-7)


def test_in_single_precision_it_keeps_the_stated_tolerance():
    image, hidden = an_image(33, 40), masks(33, 40)
    found = impute(image.float(), torch.from_numpy(hidden))
    size = image.std(dim=(1, 2), keepdim=True).numpy()
    for each, mask in zip(found.numpy(), hidden, strict=True):
        assert np.abs((each - dense(image.numpy(), mask)) / size).max() < TOLERANCE


def test_a_plane_is_guessed_from_its_border():
    rows, columns = torch.meshgrid(torch.arange(40.0), torch.arange(40.0), indexing="ij")
    plane = torch.stack([rows, columns, rows - 2 * columns])
    hidden = torch.zeros(1, 40, 40, dtype=torch.bool)
    hidden[0, 3:37, 5:31] = True
    assert torch.allclose(impute(plane, hidden)[0], plane, atol=0.05)


def test_with_every_pixel_hidden_the_mean_is_left():
    image = an_image(12, 12)
    hidden = torch.stack([torch.ones(12, 12, dtype=torch.bool)] * 2)
    hidden[1, 0, 0] = False
    found = impute(image, hidden)
    assert torch.allclose(found[0], image.mean(dim=(1, 2), keepdim=True).expand_as(image))
    assert torch.allclose(found[1], image[:, :1, :1].expand_as(image), atol=0.01)


def test_a_mask_is_solved_alike_in_any_company():
    image, hidden = an_image(20, 20).float(), torch.from_numpy(masks(20, 20))
    together = impute(image, hidden)
    for each, mask in zip(together, hidden, strict=True):
        assert torch.equal(impute(image, mask[None])[0], each)


def test_grey_channels_are_solved_as_any_others():
    grey = an_image(17, 17)[:1].float()
    image = torch.cat([grey, 2 * grey + 1, grey / 3 - 5])
    hidden = torch.from_numpy(masks(17, 17))
    other = image.clone()
    other[2] = an_image(17, 17, seed=1)[0].float()
    assert torch.allclose(impute(image, hidden)[:, :2], impute(other, hidden)[:, :2], atol=2e-3)


def test_what_is_seen_stays_and_the_input_is_not_changed():
    image, hidden = an_image(10, 10), torch.from_numpy(masks(10, 10))
    before = image.clone(), hidden.clone()
    found = impute(image, hidden)
    assert torch.equal(
        found[~hidden[:, None].expand_as(found)].sort().values,
        image.expand_as(found)[~hidden[:, None].expand_as(found)].sort().values,
    )
    assert torch.equal(image, before[0])
    assert torch.equal(hidden, before[1])
