import pytest
import torch

from xmir_cli.metrics.order import pixel_ranks, tied_fraction


def test_the_largest_value_comes_first():
    assert pixel_ranks(torch.tensor([[0.1, -3.0], [7.0, 0.2]])).tolist() == [[2, 3], [0, 1]]


def test_the_least_relevant_comes_first_when_asked():
    ranks = pixel_ranks(torch.tensor([[0.1, -3.0], [7.0, 0.2]]), least_first=True)
    assert ranks.tolist() == [[1, 0], [3, 2]]


@pytest.mark.parametrize("least_first", [False, True])
def test_ties_fall_in_row_order(least_first):
    ranks = pixel_ranks(torch.zeros(20, 30), least_first)
    assert torch.equal(ranks, torch.arange(600).reshape(20, 30))


@pytest.mark.parametrize("seed", [None, 0, 1])
@pytest.mark.parametrize("least_first", [False, True])
def test_what_lies_beyond_the_picture_comes_last_in_row_order(least_first, seed):
    beyond = float("nan")
    saliency = torch.tensor([[beyond, -1.0, beyond], [beyond, 2.0, beyond]])
    lower, higher = (0, 1) if least_first else (1, 0)
    assert pixel_ranks(saliency, least_first, seed).tolist() == [[2, lower, 3], [4, higher, 5]]


def test_random_ties_repeat_with_their_seed_and_leave_distinct_values_in_order():
    saliency = torch.tensor([[2.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, -1.0]])
    ranks = pixel_ranks(saliency, seed=1)
    assert torch.equal(ranks, pixel_ranks(saliency, seed=1))
    assert any(not torch.equal(ranks, pixel_ranks(saliency, seed=seed)) for seed in range(2, 6))
    assert sorted(ranks.flatten().tolist()) == list(range(8))
    assert (ranks[0, 0], ranks[1, 3]) == (0, 7)


@pytest.mark.parametrize("change", [lambda s: 3 * s + 1, torch.exp, lambda s: s**3])
def test_a_strictly_increasing_change_of_the_map_keeps_the_order(change):
    saliency = torch.randn(7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.equal(pixel_ranks(saliency), pixel_ranks(change(saliency)))


def test_negating_a_map_without_ties_reverses_the_order():
    saliency = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(pixel_ranks(-saliency), 34 - pixel_ranks(saliency))
    assert torch.equal(pixel_ranks(-saliency), pixel_ranks(saliency, least_first=True))


def test_the_tied_fraction_counts_every_pixel_with_a_twin():
    assert tied_fraction(torch.tensor([[0.0, 0.0, 0.0], [1.0, 2.0, 2.0]])) == pytest.approx(5 / 6)
    assert tied_fraction(torch.arange(6.0).reshape(2, 3)) == 0
    assert tied_fraction(torch.full((4, 4), 0.5)) == 1
    assert tied_fraction(torch.tensor([[0.0, -0.0]])) == 1
