import pytest
import torch

from xmir_cli.saliency.windows import (
    GRIDS,
    box_sums,
    boxes,
    coverage_mean,
    coverage_sum,
)


def painted(windows, size):
    masks = torch.zeros(len(windows), size, size, dtype=torch.int64)
    for mask, (top, left, bottom, right) in zip(masks, windows.tolist(), strict=True):
        mask[top:bottom, left:right] = 1
    return masks


@pytest.mark.parametrize(
    ("grid", "first", "last", "count", "least", "most"),
    [
        ("paper", -19, 221, 49, 16, 25),
        ("centered", -10, 210, 45, 9, 25),
        ("valid", 0, 200, 41, 1, 25),
    ],
)
def test_grids_of_the_paper_xaitk_and_captum_at_their_settings(
    grid, first, last, count, least, most
):
    starts = GRIDS[grid](224, 24, 5)
    assert (starts[0], starts[-1], len(starts)) == (first, last, count)
    windows = boxes(224, 24, 5, grid)
    assert windows.shape == (count**2, 4)
    coverage = coverage_sum(windows, torch.ones(len(windows), dtype=torch.int64), 224)
    assert (int(coverage.min()), int(coverage.max())) == (least, most)


def test_paper_grid_keeps_slivers_at_both_ends():
    windows = boxes(224, 24, 5, "paper")
    assert windows[0].tolist() == [0, 0, 5, 5]
    assert windows[-1].tolist() == [221, 221, 224, 224]


def test_centered_grid_of_a_small_window_moves_forward_as_in_xaitk():
    assert GRIDS["centered"](20, 7, 3) == [-2, 1, 4, 7, 10, 13, 16]
    assert GRIDS["centered"](20, 3, 7) == [2, 9, 16]


def test_window_larger_than_the_image_covers_it_once():
    assert boxes(8, 24, 5, "valid").tolist() == [[0, 0, 8, 8]]


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize(("window", "stride"), [(7, 3), (4, 4), (5, 1), (3, 6)])
def test_coverage_equals_the_explicit_sum_of_masks(grid, window, stride):
    windows = boxes(19, window, stride, grid)
    values = torch.arange(1, len(windows) + 1)
    expected = (painted(windows, 19) * values[:, None, None]).sum(dim=0)
    assert torch.equal(coverage_sum(windows, values, 19), expected)


def test_mean_does_not_depend_on_the_order_of_the_windows():
    windows = boxes(19, 7, 3, "paper")
    generator = torch.Generator().manual_seed(1)
    values = torch.rand(len(windows), generator=generator, dtype=torch.float64)
    order = torch.randperm(len(windows), generator=generator)
    straight = coverage_mean(windows, values, 19)
    assert torch.equal(coverage_mean(windows[order], values[order], 19), straight)


def test_mean_is_linear_in_the_values():
    windows = boxes(19, 7, 3, "paper")
    values = torch.rand(len(windows), generator=torch.Generator().manual_seed(1))
    tripled = coverage_mean(windows, 3 * values, 19)
    torch.testing.assert_close(tripled, 3 * coverage_mean(windows, values, 19))


def test_one_window_over_the_whole_image_gives_its_value_everywhere():
    windows = boxes(8, 8, 8, "valid")
    assert torch.equal(coverage_mean(windows, torch.tensor([0.25]), 8), torch.full((8, 8), 0.25))


def test_windows_without_value_leave_exactly_nothing_beside_others():
    windows = boxes(32, 4, 4, "valid")
    values = torch.zeros(len(windows))
    values[9] = 1 / 3
    saliency = coverage_mean(windows, values, 32)
    assert int((saliency != 0).sum()) == 16


def test_pixel_that_no_window_covers_is_zero():
    windows = boxes(10, 2, 5, "valid")
    saliency = coverage_mean(windows, torch.ones(len(windows)), 10)
    assert float(saliency[3, 3]) == 0.0
    assert float(saliency[0, 0]) == 1.0


def test_box_sums_equal_the_sums_of_slices():
    image = torch.randint(0, 2, (19, 19), generator=torch.Generator().manual_seed(2))
    windows = boxes(19, 7, 3, "paper")
    expected = (painted(windows, 19) * image).sum(dim=(1, 2))
    assert torch.equal(box_sums(image, windows), expected)
