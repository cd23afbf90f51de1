import numpy as np
import pytest
import torch

from xmir_cli.saliency.upsample import upsample


def naive(grid, size):
    """The formula of half-pixel bilinear sampling, pixel by pixel."""
    h, w = grid.shape
    out = np.zeros((size, size))
    for y in range(size):
        for x in range(size):
            v, u = max(0, (y + 0.5) * h / size - 0.5), max(0, (x + 0.5) * w / size - 0.5)
            top, left = int(v), int(u)
            bottom, right = min(top + 1, h - 1), min(left + 1, w - 1)
            a, b = v - top, u - left
            out[y, x] = (1 - a) * ((1 - b) * grid[top, left] + b * grid[top, right]) + a * (
                (1 - b) * grid[bottom, left] + b * grid[bottom, right]
            )
    return out


@pytest.fixture
def grid():
    return torch.rand(7, 5, generator=torch.Generator().manual_seed(0))


def test_upsampling_equals_the_formula_with_half_pixel_centres(grid):
    np.testing.assert_allclose(upsample(grid, 31).numpy(), naive(grid.numpy(), 31), atol=1e-6)


def test_constant_stays_constant():
    assert torch.equal(upsample(torch.full((7, 7), 3.0), 30), torch.full((30, 30), 3.0))


def test_minimum_and_maximum_are_never_exceeded(grid):
    large = upsample(grid, 64)
    assert large.min() >= grid.min()
    assert large.max() <= grid.max()


def test_an_integer_factor_preserves_the_mean():
    square = torch.rand(7, 7, generator=torch.Generator().manual_seed(0))
    assert float(upsample(square, 224).mean()) == pytest.approx(float(square.mean()), abs=1e-6)


def test_map_is_float32_on_the_cpu_without_a_graph():
    large = upsample(torch.rand(2, 2, dtype=torch.float64).requires_grad_(), 4)
    assert large.dtype == torch.float32
    assert not large.requires_grad
