"""Maps changed at their own scale: the cells that they were drawn from are found and shuffled."""

import math

import pytest
import torch

from xmir_cli.saliency.upsample import upsample
from xmir_cli.scoring.scale import find_grid, shuffle_cells, smooth


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(cells, size, seed=0, relu=False):
    grid = torch.randn(cells, cells, generator=seeded(seed))
    return grid, upsample(grid.clamp(min=0) if relu else grid, size)


def cells_of(saliency, cells):
    """The grid that an upsampled map was drawn from, by least squares over all its pixels."""
    size = len(saliency)
    eye = torch.eye(cells * cells, dtype=torch.float64).reshape(-1, cells, cells)
    columns = torch.stack([upsample(each, size).flatten() for each in eye], dim=1)
    return torch.linalg.lstsq(columns.double(), saliency.double().flatten()).solution


@pytest.mark.parametrize(("cells", "size"), [(2, 32), (5, 80), (7, 224), (7, 50), (10, 80)])
@pytest.mark.parametrize("relu", [False, True])
def test_the_grid_of_a_map_is_found(cells, size, relu):
    _, saliency = drawn(cells, size, relu=relu)
    assert find_grid(saliency) == cells
    saliency[: size // 5] = math.nan  # beyond the picture
    assert find_grid(saliency) == cells


def test_what_was_not_drawn_from_cells_has_no_grid():
    assert find_grid(torch.randn(64, 64, generator=seeded())) is None
    lines = torch.linspace(-1, 1, 64)
    assert find_grid(torch.exp(-(lines[:, None] ** 2 + lines**2) / 0.1)) is None
    _, saliency = drawn(7, 64)
    assert find_grid(saliency + 1e-3 * torch.randn(64, 64, generator=seeded(1))) is None


def test_the_cells_of_the_grid_are_in_other_places():
    grid, saliency = drawn(6, 48)
    shuffled = shuffle_cells(saliency, seeded())
    found = cells_of(shuffled, 6)
    assert not torch.allclose(shuffled, saliency)
    assert torch.allclose(found.sort().values, grid.flatten().double().sort().values, atol=1e-4)
    assert torch.equal(shuffled, shuffle_cells(saliency, seeded()))
    assert not torch.equal(shuffled, shuffle_cells(saliency, seeded(1)))


def test_blocks_of_other_maps_are_in_other_places_each_whole():
    saliency = torch.arange(56.0 * 56).reshape(56, 56) ** 1.5
    saliency[3, 3] = -1  # no grid
    shuffled = shuffle_cells(saliency, seeded())
    assert torch.equal(shuffled.flatten().sort().values, saliency.flatten().sort().values)

    def blocks(values):
        return {
            tuple(values[row : row + 8, column : column + 8].flatten().tolist())
            for row in range(0, 56, 8)
            for column in range(0, 56, 8)
        }

    assert blocks(shuffled) == blocks(saliency)
    assert (shuffled != saliency).float().mean() > 0.8


@pytest.mark.parametrize("grid", [True, False])
def test_what_lies_beyond_the_picture_stays_out(grid):
    _, saliency = drawn(6, 48)
    if not grid:
        saliency += torch.randn(48, 48, generator=seeded(1))
    saliency[:, :9] = math.nan
    for changed in (shuffle_cells(saliency, seeded()), smooth(saliency)):
        assert torch.equal(changed.isnan(), saliency.isnan())


def test_the_blur_is_a_gaussian_of_a_32nd_of_the_side():
    spot = torch.zeros(64, 64)
    spot[32, 32] = 1
    smoothed = smooth(spot).double()
    offsets = torch.arange(64.0).double() - 32
    assert float(smoothed.sum()) == pytest.approx(1)
    assert float((smoothed.sum(dim=0) * offsets**2).sum()) == pytest.approx(4, rel=0.05)  # 2 pixels
    assert torch.allclose(smooth(torch.full((40, 40), 3.0)), torch.full((40, 40), 3.0))
