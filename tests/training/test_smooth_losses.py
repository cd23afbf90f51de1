"""The losses beside the triplet loss: numbers by hand, naive loops, and what changes nothing."""

import math

import pytest
import torch

from xmir_cli.training.losses.multi_similarity import multi_similarity_loss
from xmir_cli.training.losses.proxy_anchor import draw_proxies, proxy_anchor_loss
from xmir_cli.training.losses.supcon import supcon_loss

LABELS = [[0, 1, 2] * 4, [0] * 5 + [1] * 6 + [2], [3, 3, 1, 1] * 3]
PROXIES = draw_proxies(4, 5, 7).double()


def embeddings(rows: int = 12, size: int = 5, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, size, generator=torch.Generator().manual_seed(seed)).double()


def with_proxies(raw: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return proxy_anchor_loss(raw, labels, PROXIES)


def cosines(rows: list[list[float]], others: list[list[float]]) -> list[list[float]]:
    def cosine(a: list[float], b: list[float]) -> float:
        return sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)

    return [[cosine(row, other) for other in others] for row in rows]


def naive_supcon(raw: torch.Tensor, labels: list[int]) -> float:
    s, each = cosines(raw.tolist(), raw.tolist()), []
    for i, label in enumerate(labels):
        others = [j for j in range(len(labels)) if j != i]
        below = sum(math.exp(s[i][a] / 0.1) for a in others)
        logs = [math.log(math.exp(s[i][p] / 0.1) / below) for p in others if labels[p] == label]
        each += [-sum(logs) / len(logs)] if logs else []
    return sum(each) / len(each)


def naive_multi_similarity(raw: torch.Tensor, labels: list[int]) -> float:
    s, total = cosines(raw.tolist(), raw.tolist()), 0.0
    for i, label in enumerate(labels):
        positives = [s[i][j] for j in range(len(labels)) if j != i and labels[j] == label]
        negatives = [s[i][j] for j in range(len(labels)) if labels[j] != label]
        pulled = [x for x in positives if x < max(negatives, default=-math.inf) + 0.1]
        pushed = [x for x in negatives if x > min(positives, default=math.inf) - 0.1]
        total += math.log(1 + sum(math.exp(-2 * (x - 0.5)) for x in pulled)) / 2
        total += math.log(1 + sum(math.exp(50 * (x - 0.5)) for x in pushed)) / 50
    return total / len(labels)


def naive_proxy_anchor(raw: torch.Tensor, labels: list[int]) -> float:
    s, pull, push = cosines(PROXIES.tolist(), raw.tolist()), 0.0, 0.0
    for p, row in enumerate(s):
        own = [x for x, label in zip(row, labels, strict=True) if label == p]
        others = [x for x, label in zip(row, labels, strict=True) if label != p]
        pull += math.log(1 + sum(math.exp(-32 * (x - 0.1)) for x in own))
        push += math.log(1 + sum(math.exp(32 * (x + 0.1)) for x in others))
    return pull / len(set(labels)) + push / len(s)


ALL = {
    "supcon": (supcon_loss, naive_supcon),
    "multi-similarity": (multi_similarity_loss, naive_multi_similarity),
    "proxy-anchor": (with_proxies, naive_proxy_anchor),
}


@pytest.fixture(params=list(ALL))
def both(request):
    """A loss and its naive loops."""
    return ALL[request.param]


@pytest.mark.parametrize("labels", LABELS)
def test_the_loss_equals_the_loops_over_the_formula(both, labels):
    loss, naive = both
    for seed in (0, 1):
        found = loss(embeddings(seed=seed), torch.tensor(labels)).item()
        assert found == pytest.approx(naive(embeddings(seed=seed), labels), rel=1e-12)


def test_supcon_of_two_pairs_at_right_angles_by_hand():
    """Each anchor has one positive at cosine 1 and two others at 0."""
    raw = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [0.0, 3.0]]).double()
    expected = math.log(1 + 2 * math.exp(-10))
    assert supcon_loss(raw, torch.tensor([0, 0, 1, 1])).item() == pytest.approx(expected)


def test_multi_similarity_counts_hard_pairs_alone():
    """At right angles no positive (1) lies below a negative (0) + 0.1, and none is pushed."""
    raw = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [0.0, 3.0]]).double().requires_grad_()
    loss = multi_similarity_loss(raw, torch.tensor([0, 0, 1, 1]))
    assert loss.item() == 0
    loss.backward()
    assert raw.grad.abs().max() == 0


def test_proxy_anchor_on_its_proxies_by_hand():
    proxies = torch.eye(2).double()
    loss = proxy_anchor_loss(torch.eye(2).double(), torch.tensor([0, 1]), proxies).item()
    pull, push = math.log(1 + math.exp(-32 * 0.9)), math.log(1 + math.exp(32 * 0.1))
    assert loss == pytest.approx(pull + push)


def test_order_rotation_and_length_do_not_change_the_loss(both):
    loss, _ = both
    raw, labels = embeddings(), torch.tensor(LABELS[0])
    order = torch.randperm(12, generator=torch.Generator().manual_seed(1))
    lengths = torch.rand(12, 1, generator=torch.Generator().manual_seed(3)).double() + 0.1
    expected = loss(raw, labels)
    assert torch.allclose(loss(raw[order], labels[order]), expected, atol=1e-12)
    assert torch.allclose(loss(raw * lengths, labels), expected, atol=1e-12)
    if loss is not with_proxies:
        rotation, _ = torch.linalg.qr(embeddings(5, 5, seed=2))
        assert torch.allclose(loss(raw @ rotation, labels), expected, atol=1e-12)


def test_the_gradient_equals_finite_differences(both):
    loss, _ = both
    raw = embeddings().requires_grad_()
    assert torch.autograd.gradcheck(lambda rows: loss(rows, torch.tensor(LABELS[0])), raw)


def test_the_gradient_of_the_proxies_equals_finite_differences():
    raw, proxies = embeddings(), PROXIES.clone().requires_grad_()
    labels = torch.tensor(LABELS[0])
    assert torch.autograd.gradcheck(lambda rows: proxy_anchor_loss(raw, labels, rows), proxies)


@pytest.mark.parametrize("labels", [[1, 1, 1], [0, 1, 2]])
def test_a_batch_of_one_class_or_without_positives_gives_no_nan(both, labels):
    loss, _ = both
    raw = embeddings(3).requires_grad_()
    value = loss(raw, torch.tensor(labels))
    value.backward()
    assert value.isfinite()
    assert raw.grad.isfinite().all()


def test_zero_and_equal_embeddings_have_finite_gradients(both):
    loss, _ = both
    raw = embeddings(6)
    raw[0] = 0
    raw[2] = raw[1]
    raw.requires_grad_()
    loss(raw, torch.tensor([0, 0, 0, 1, 1, 1])).backward()
    assert raw.grad.isfinite().all()


def test_a_nan_is_not_hidden(both):
    loss, _ = both
    raw = embeddings()
    raw[3, 0] = math.nan
    assert loss(raw, torch.tensor(LABELS[0])).isnan()


def test_proxies_are_drawn_from_the_seed():
    assert torch.equal(draw_proxies(3, 8, 1), draw_proxies(3, 8, 1))
    assert not torch.equal(draw_proxies(3, 8, 1), draw_proxies(3, 8, 2))
