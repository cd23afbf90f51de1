"""Losses and their gradients equal those of pytorch-metric-learning, where both define them.

Its losses leave an anchor out of the mean whose own loss is 0, as the triplet loss here does; no
other loss has such anchors in these batches.
"""

import pytest
import torch

from xmir_cli.training.losses.multi_similarity import EPSILON, multi_similarity_loss
from xmir_cli.training.losses.proxy_anchor import draw_proxies, proxy_anchor_loss
from xmir_cli.training.losses.supcon import supcon_loss
from xmir_cli.training.losses.triplet import triplet_loss

pytest.importorskip(
    "pytorch_metric_learning",
    reason="needs pytorch-metric-learning: tests/run-extras.sh oracles",
)
from pytorch_metric_learning import losses, miners

LABELS = [[0, 1, 2] * 8, [0] * 10 + [1] * 12 + [2] * 2, [3, 3, 1, 1] * 6]


def compare(ours, theirs, labels: list[int], seed: int) -> None:
    raw = torch.randn(24, 16, generator=torch.Generator().manual_seed(seed)).double()
    raw[: len(raw) // 2] += 2 * torch.eye(16).double()[torch.tensor(labels[:12])]  # some lie near
    found, gradients = [], []
    for loss in (ours, theirs):
        rows = raw.clone().requires_grad_()
        value = loss(rows, torch.tensor(labels))
        value.backward()
        found.append(value.item())
        gradients.append(rows.grad)
    assert found[0] == pytest.approx(found[1], rel=1e-9)
    assert torch.allclose(*gradients, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("seed", [0, 1])
class TestLosses:
    def test_triplet(self, labels, seed):
        theirs = losses.TripletMarginLoss(margin=0.2)
        compare(lambda raw, own: triplet_loss(raw, own).value, theirs, labels, seed)

    def test_supcon(self, labels, seed):
        compare(supcon_loss, losses.SupConLoss(temperature=0.1), labels, seed)

    def test_multi_similarity(self, labels, seed):
        loss = losses.MultiSimilarityLoss(alpha=2, beta=50, base=0.5)
        miner = miners.MultiSimilarityMiner(epsilon=EPSILON)
        compare(
            multi_similarity_loss, lambda raw, own: loss(raw, own, miner(raw, own)), labels, seed
        )

    def test_proxy_anchor(self, labels, seed):
        proxies = draw_proxies(4, 16, seed).double()
        theirs = losses.ProxyAnchorLoss(4, 16, margin=0.1, alpha=32).double()
        theirs.proxies.data.copy_(proxies)
        own = proxies.clone().requires_grad_()
        compare(lambda raw, known: proxy_anchor_loss(raw, known, own), theirs, labels, seed)
        assert torch.allclose(own.grad, theirs.proxies.grad, rtol=1e-6, atol=1e-9)
