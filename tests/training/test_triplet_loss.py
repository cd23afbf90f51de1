"""The triplet loss: naive loops as oracle, and what must not change it."""

import math

import pytest
import torch

from xmir_cli.training.losses.distances import distances
from xmir_cli.training.losses.triplet import triplet_loss
from xmir_cli.training.recipe import MARGIN


def embeddings(rows: int = 12, size: int = 5, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, size, generator=torch.Generator().manual_seed(seed)).double()


LABELS = torch.tensor([0, 1, 2] * 4)


def naive(raw: torch.Tensor, labels: torch.Tensor, margin: float) -> tuple[float, float]:
    """The formula by loops over all triplets of Python floats."""
    units = [[x / math.hypot(*row) for x in row] for row in raw.tolist()]
    costs = [
        max(0.0, math.dist(units[a], units[p]) - math.dist(units[a], units[n]) + margin)
        for a in range(len(units))
        for p in range(len(units))
        for n in range(len(units))
        if a != p and labels[a] == labels[p] and labels[a] != labels[n]
    ]
    violating = [cost for cost in costs if cost > 0]
    return sum(violating) / len(violating), len(violating) / len(costs)


@pytest.mark.parametrize("labels", [[0, 1, 2] * 4, [0] * 5 + [1] * 6 + [2], [3, 3, 8, 8] * 3])
@pytest.mark.parametrize("margin", [0.05, 0.2, 1.0])
def test_the_loss_equals_the_loops_over_all_triplets(labels, margin):
    raw = embeddings()
    expected, fraction = naive(raw, torch.tensor(labels), margin)
    loss = triplet_loss(raw, torch.tensor(labels), margin)
    assert loss.value.item() == pytest.approx(expected, abs=1e-12)
    assert loss.violating == pytest.approx(fraction)


def test_three_embeddings_at_known_angles():
    """d(a, p) = 1 at 60 degrees, d(a, n) = sqrt 2, d(p, n) = 2 sin 15: by hand."""
    angles = torch.tensor([0.0, 60.0, 90.0]).double().deg2rad()
    raw = torch.stack([angles.cos(), angles.sin()], dim=1)
    loss = triplet_loss(raw, torch.tensor([0, 0, 1]))
    # the triplet (a, p, n) keeps the margin: 1 - 1.414 + .2 < 0; (p, a, n) does not
    assert loss.value.item() == pytest.approx(1 - 2 * math.sin(math.radians(15)) + MARGIN)
    assert loss.violating == 0.5


def test_a_batch_of_three_classes_of_16_has_23040_triplets():
    """All embeddings equal: every triplet violates by the margin."""
    labels = torch.tensor([0, 1, 2] * 16)
    raw = torch.ones(48, 8, requires_grad=True)
    loss = triplet_loss(raw, labels)
    assert loss.value.item() == pytest.approx(MARGIN, abs=1e-7)
    assert loss.violating == 1.0
    loss.value.backward()
    assert torch.isfinite(raw.grad).all()


def test_order_rotation_and_length_do_not_change_the_loss():
    raw = embeddings()
    expected = triplet_loss(raw, LABELS).value
    order = torch.randperm(12, generator=torch.Generator().manual_seed(1))
    rotation, _ = torch.linalg.qr(embeddings(5, 5, seed=2))
    lengths = torch.rand(12, 1, generator=torch.Generator().manual_seed(3)).double() + 0.1
    for changed, labels in (
        (raw[order], LABELS[order]),
        (raw @ rotation, LABELS),
        (raw * lengths, LABELS),
    ):
        assert torch.allclose(triplet_loss(changed, labels).value, expected, atol=1e-12)


def test_classes_apart_by_more_than_the_margin_cost_and_pull_nothing():
    raw = torch.eye(3).double()[LABELS].requires_grad_()
    loss = triplet_loss(raw, LABELS)
    assert (loss.value.item(), loss.violating) == (0, 0)
    loss.value.backward()
    assert raw.grad.abs().max() == 0


@pytest.mark.parametrize("labels", [[4, 4, 4], [1, 2, 3]])
def test_a_batch_without_triplets_gives_zero_not_nan(labels):
    raw = embeddings(3).requires_grad_()
    loss = triplet_loss(raw, torch.tensor(labels))
    assert (loss.value.item(), loss.violating) == (0, 0)
    loss.value.backward()
    assert raw.grad.abs().max() == 0


def test_zero_and_equal_embeddings_have_finite_gradients():
    raw = embeddings(6)
    raw[0] = 0
    raw[2] = raw[1]
    raw.requires_grad_()
    triplet_loss(raw, torch.tensor([0, 0, 0, 1, 1, 1])).value.backward()
    assert torch.isfinite(raw.grad).all()


def test_the_gradient_equals_finite_differences():
    raw = embeddings().requires_grad_()
    assert torch.autograd.gradcheck(lambda rows: triplet_loss(rows, LABELS).value, raw)


def test_small_distances_do_not_cancel_out():
    """Near 0 the formula sqrt(2 - 2s) is wrong by 3e-4 in float32."""
    vectors = torch.tensor([[1.0, 0.0], [1.0, 1e-6]])
    assert distances(vectors)[0, 1].item() == pytest.approx(1e-6, rel=1e-3)
    assert distances(vectors).diagonal().tolist() == [0, 0]


def test_labels_and_embeddings_are_not_changed():
    raw, labels = embeddings(), LABELS.clone()
    before = raw.clone()
    triplet_loss(raw, labels)
    assert torch.equal(raw, before)
    assert torch.equal(labels, LABELS)


def test_a_nan_is_not_hidden():
    raw = embeddings()
    raw[3, 0] = math.nan
    assert triplet_loss(raw, LABELS).value.isnan()
