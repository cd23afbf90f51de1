import pytest
import torch

from xmir_cli.saliency.masks import MaskMoments, Masks, cell_side, draw_masks

SIZE, CELLS = 8, 2  # a cell's side is 4 pixels: 16 shifts


def rendered(count=50, probability=0.5, seed=0):
    masks = draw_masks(count, CELLS, probability, SIZE, seed)
    return masks.render(0, count)


def filled(masks, scores):
    moments = MaskMoments(SIZE)
    for start in range(0, len(masks), 7):  # in uneven batches
        moments.add(masks[start : start + 7], scores[start : start + 7])
    return moments


def scores_of(count, seed=3):
    return torch.rand(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_masks_lie_between_hidden_and_kept_and_keep_the_share_asked_for():
    masks = rendered(4000, 0.3)
    assert masks.min() >= 0
    assert masks.max() <= 1 + 1e-6
    torch.testing.assert_close(masks.mean(dim=0), torch.full((SIZE, SIZE), 0.3), atol=0.03, rtol=0)


def test_a_mask_is_its_grid_enlarged_bilinearly_and_shifted():
    masks = draw_masks(5, 3, 0.5, 16, seed=1)  # a cell's side is 6, the large mask's 24
    for index, mask in enumerate(masks.render(0, 5)):
        grid, (top, left) = masks.grids[index], masks.shifts[index].tolist()
        for row in (0, 7, 15):
            for column in (0, 4, 15):
                places = [
                    min(max((place + 0.5) * 3 / 24 - 0.5, 0), 2)
                    for place in (row + top, column + left)
                ]
                (y, x), (i, j) = places, [min(int(place), 1) for place in places]
                rows = (1 - (y - i), y - i)
                columns = (1 - (x - j), x - j)
                expected = sum(
                    rows[a] * columns[b] * float(grid[i + a, j + b]) for a in (0, 1) for b in (0, 1)
                )
                assert float(mask[row, column]) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("size", "cells", "side"), [(224, 7, 32), (224, 8, 28), (32, 7, 5)])
def test_cells_cover_the_image(size, cells, side):
    assert cell_side(size, cells) == side
    assert draw_masks(3, cells, 0.5, size, 0).render(0, 3).shape == (3, size, size)


def test_seed_alone_decides_whatever_the_batch_and_the_global_state():
    torch.manual_seed(1)
    first = rendered()
    torch.manual_seed(2)
    masks = draw_masks(50, CELLS, 0.5, SIZE, 0)
    again = torch.cat([masks.render(start, min(start + 8, 50)) for start in range(0, 50, 8)])
    assert torch.equal(first, again)
    assert not torch.equal(first, rendered(seed=1))


@pytest.mark.parametrize("offset", [0.0, 0.5])
def test_mean_and_its_error_are_those_of_the_list_of_terms(offset):
    masks, scores = rendered().double(), scores_of(50)
    terms = scores[:, None, None] * (masks - offset) / 0.5
    mean, error = filled(masks, scores).mean_of(offset, 0.5)
    torch.testing.assert_close(mean, terms.mean(dim=0))
    torch.testing.assert_close(error, terms.std(dim=0) / 50**0.5)


def test_slope_and_its_error_are_those_of_least_squares_pixel_by_pixel():
    masks, scores = rendered().double(), scores_of(50)
    slope, error = filled(masks, scores).slope()
    for row in range(SIZE):
        for column in range(SIZE):
            design = torch.stack([masks[:, row, column], torch.ones(50)], dim=1).double()
            solution = torch.linalg.lstsq(design, scores[:, None]).solution[:, 0]
            residual = scores - design @ solution
            covariance = torch.linalg.inv(design.T @ design) * residual.square().sum() / 48
            assert float(slope[row, column]) == pytest.approx(float(solution[0]), rel=1e-8)
            assert float(error[row, column]) == pytest.approx(float(covariance[0, 0].sqrt()))


def test_slope_of_a_score_that_is_a_pixel_is_exact_and_certain():
    masks = rendered().double()
    slope, error = filled(masks, 3 * masks[:, 2, 5] + 1).slope()
    assert float(slope[2, 5]) == pytest.approx(3.0, abs=1e-9)
    assert float(error[2, 5]) == pytest.approx(0.0, abs=1e-6)


def test_slope_where_all_masks_are_alike_is_zero():
    slope, error = filled(torch.ones(9, SIZE, SIZE), scores_of(9)).slope()
    assert not slope.any()
    assert not error.any()


def test_mean_is_unbiased_and_its_error_honest_for_a_linear_score():
    """With s = sum_v w_v m(v): E[s (m(u) - p)] = sum_v w_v Cov(m(v), m(u)), known exactly."""
    side = cell_side(SIZE, CELLS)
    weights = torch.randn(
        SIZE * SIZE, generator=torch.Generator().manual_seed(4), dtype=torch.float64
    )
    cells = torch.eye(CELLS * CELLS).reshape(-1, CELLS, CELLS)  # a mask is linear in its cells
    covariance = torch.zeros(SIZE * SIZE, SIZE * SIZE, dtype=torch.float64)
    for top in range(side):
        for left in range(side):
            shifts = torch.tensor([[top, left]]).expand(len(cells), 2)
            basis = Masks(cells, shifts, SIZE).render(0, len(cells)).flatten(1).double()
            covariance += 0.5 * 0.5 * basis.T @ basis / side**2
    masks = rendered(6000).double()
    mean, error = filled(masks, masks.flatten(1) @ weights).mean_of(0.5, 1.0)
    deviations = (mean.flatten() - covariance @ weights) / error.flatten()
    assert float(deviations.abs().max()) < 4.5
    assert 0.5 < float(deviations.square().mean().sqrt()) < 1.6
