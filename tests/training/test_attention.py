"""The similarity-mining loss: naive loops as oracle, and the planted cause that it makes seen."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from xmir_cli.errors import ModelError
from xmir_cli.model.head import OpaqueHead
from xmir_cli.model.loader import load_embedder
from xmir_cli.model.network import Architecture, Network
from xmir_cli.model.weights import hash_weights
from xmir_cli.saliency.methods.attention import Method
from xmir_cli.saliency.sample import make_samples
from xmir_cli.saliency.upsample import upsample
from xmir_cli.training.attention import (
    TRIPLETS,
    attention_loss,
    attention_maps,
    check_maps,
    draw_triplets,
    scale_maps,
)
from xmir_cli.training.loop import Trainer
from xmir_cli.training.losses.triplet import triplet_loss
from xmir_cli.training.recipe import Settings

LABELS = torch.tensor([0, 0, 0, 1, 1, 1])
CHOSEN = torch.tensor([[0, 1, 3], [4, 5, 0], [3, 5, 1]])  # some images stand in several triplets


@pytest.fixture
def network(embedder) -> Network:
    return embedder.network


@pytest.fixture
def images() -> torch.Tensor:
    coarse = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(3))
    return coarse.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)


def naive_loss(network: Network, images: torch.Tensor, triplets: list[list[int]]) -> torch.Tensor:
    """The formula one image at a time; the maps in closed form (average pooling, linear head)."""

    def embedding(image: torch.Tensor) -> torch.Tensor:
        return functional.normalize(network(image[None])[0], dim=0)

    costs = []
    for a, p, n in triplets:
        f_a, f_p, f_n = (embedding(images[place]).detach() for place in (a, p, n))
        weights = (1 - (f_a - f_p).abs()) * (f_a - f_n).abs()
        left = []
        for place in (a, p, n):
            channel = weights @ network.head.after[0].weight
            features = network.features(images[place][None])[0]
            cells = features.shape[1] * features.shape[2]
            grid = torch.einsum("c,chw->hw", channel, features).clamp(min=0) / cells
            grid = (grid - grid.min()) / (grid.max() - grid.min())
            large = nn.Upsample(size=32, mode="bilinear")(grid[None, None])[0]
            seen = 1 / (1 + torch.exp(-10 * (large - 0.5)))
            left.append(embedding(images[place] * (1 - seen)))
        costs.append(abs((left[0] - left[1]).norm() - (left[0] - left[2]).norm()))
    return sum(costs) / len(costs)


def test_loss_and_gradient_equal_the_formula_one_image_at_a_time(network, images):
    weights = list(network.parameters())  # in evaluation mode, where no image sees the others
    expected = naive_loss(network, images, CHOSEN.tolist())
    loss = attention_loss(network, images, network.features(images), CHOSEN)
    assert expected > 0.01
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)
    found = torch.autograd.grad(loss, weights)
    for one, other in zip(found, torch.autograd.grad(expected, weights), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_the_maps_are_those_of_the_saliency_method(embedder, images):
    anchor, positive, negative = make_samples(embedder, list(images[:3]))
    anchor = replace(anchor, negatives=(negative,))
    features = torch.stack([anchor.features, positive.features, negative.features])
    maps = attention_maps(embedder.network.head, features).detach()
    method = Method(tuple="triplet")
    for explained, other, grid in ((positive, anchor, maps[1]), (anchor, positive, maps[0])):
        expected = method(embedder, other, explained).saliency
        torch.testing.assert_close(upsample(grid, 32), expected, atol=1e-6, rtol=1e-5)


def test_gradients_reach_every_weight_and_flow_through_the_maps(network, images, monkeypatch):
    network.train()

    def gradients() -> dict[str, torch.Tensor]:
        network.zero_grad()
        attention_loss(network, images, network.features(images), CHOSEN).backward()
        return {name: weight.grad.clone() for name, weight in network.named_parameters()}

    whole = gradients()
    unnoticed = {"features.0.bias", "features.3.bias"}  # the batch norm after it takes it away
    assert {name for name, value in whole.items() if value.abs().max() < 1e-6} <= unnoticed
    module = sys.modules[attention_loss.__module__]
    monkeypatch.setattr(module, "scale_maps", lambda maps: scale_maps(maps).detach())
    for name, cut in gradients().items():
        if name not in {*unnoticed, "head.after.0.bias"}:
            assert (whole[name] - cut).norm() > 0.01 * whole[name].norm(), name


def test_masked_images_leave_the_running_statistics_alone(network, images):
    network.train()
    features = network.features(images)
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    attention_loss(network, images, features, CHOSEN)
    assert before
    for name, buffer in network.named_buffers():
        assert torch.equal(buffer, before[name]), name


def test_frozen_features_still_train_the_head(network, images):
    network.features.requires_grad_(False)
    attention_loss(network, images, network.features(images), CHOSEN).backward()
    assert network.head.after[0].weight.grad.abs().max() > 0


def test_maps_are_scaled_from_0_to_1_and_a_flat_one_is_0():
    maps = torch.tensor([[[2.0, 4.0], [3.0, 6.0]], [[5.0, 5.0], [5.0, 5.0]]])
    assert scale_maps(maps).tolist() == [[[0, 0.5], [0.25, 1]], [[0, 0], [0, 0]]]


def test_equal_images_cost_nothing_and_have_finite_gradients(network, images):
    same = images[:1].expand(6, -1, -1, -1)
    loss = attention_loss(network, same, network.features(same), CHOSEN)
    loss.backward()
    assert loss.item() == 0
    assert all(torch.isfinite(weight.grad).all() for weight in network.parameters())


@pytest.mark.parametrize(("images", "count"), [(4, 1), (6, 2), (48, TRIPLETS)])
def test_triplets_are_valid_bounded_and_drawn_from_the_generator(images, count):
    labels = torch.arange(2).repeat_interleave(images // 2)
    drawn = [draw_triplets(labels, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    for triplets in drawn:
        anchor, positive, negative = triplets.T
        assert len(set(anchor.tolist())) == len(triplets) == count
        assert (labels[anchor] == labels[positive]).all()
        assert (anchor != positive).all()
        assert (labels[anchor] != labels[negative]).all()


def test_every_valid_triplet_can_be_drawn():
    rng = np.random.default_rng(0)
    drawn = {tuple(draw_triplets(torch.tensor([7, 7, 2, 2]), rng)[0].tolist()) for _ in range(200)}
    assert drawn == {(a, a ^ 1, n) for a in range(4) for n in range(4) if n // 2 != a // 2}


def test_a_network_without_a_pooled_map_is_refused():
    class Token(OpaqueHead):
        def forward(self, features: torch.Tensor) -> torch.Tensor:
            return features[:, :, 0, 0]

    with pytest.raises(ModelError) as caught:
        check_maps(Network(Architecture(nn.Conv2d(3, 4, 8), 4, head=Token()), None))
    assert str(caught.value) == (
        "`attention_loss`: this network's embedding is not pooled from a feature map "
        "(class token or attention pooling)"
    )


def test_training_with_it_repeats_and_differs_from_training_without(feed, examples):
    spec, digests, outcomes = feed.embedder.spec, [], []
    for gamma in (0.0, 0.5, 0.5):
        feed.embedder = load_embedder(spec, "cpu")
        trainer = Trainer(feed, Settings(per_class=4, learning_rate=5e-3, attention_loss=gamma))
        outcomes.append(trainer.epoch(1, examples))
        digests.append(hash_weights(trainer.network))
    assert digests[0] != digests[1] == digests[2]
    assert outcomes[0].attention_loss is None
    assert 0 < outcomes[1].attention_loss == outcomes[2].attention_loss


CAUSE = (slice(1, 3), slice(1, 3))  # cells of the feature map's 8 x 8


def planted(rng: np.random.Generator, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A small red or green patch decides the class; a brighter blue one, as large, says nothing."""
    values = rng.normal(0, 0.5, (count, 1, 32, 32)).repeat(3, axis=1)
    labels = np.arange(count) % 2
    for image, label in zip(values, labels, strict=True):
        image[label, 4:12, 4:12] += 1
        image[2, 20:28, 20:28] += rng.choice([2.0, 0.6])
    return torch.tensor(values, dtype=torch.float32), torch.tensor(labels)


def attention_on_the_cause(embedder, seed: int, gamma: float) -> tuple[float, float]:
    """After training, on new images: the attention's share on the cause, and the attention loss."""
    rng, network = np.random.default_rng(seed), embedder.network
    network.train()
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    for _ in range(40):
        images, labels = planted(rng, 12)
        optimizer.zero_grad()
        features = network.features(images)
        loss = triplet_loss(network.head(features), labels).value
        triplets = draw_triplets(labels, rng)
        if gamma:
            loss = loss + gamma * attention_loss(network, images, features, triplets)
        loss.backward()
        optimizer.step()
    network.eval()
    images, labels = planted(np.random.default_rng(99), 48)
    triplets = draw_triplets(labels, np.random.default_rng(1))
    features = network.features(images).detach()
    maps = attention_maps(network.head, features[triplets.flatten()]).detach()
    share = maps[:, *CAUSE].sum(dim=(1, 2)) / maps.sum(dim=(1, 2))
    left = attention_loss(network, images, features, triplets)
    return float(share.mean()), float(left.detach())


def test_training_with_it_moves_the_attention_onto_the_planted_cause(embedder):
    """On 6 % of the area: .18 without and .35 with it over six seeds, more in each of them."""
    spec = replace(embedder.spec, weights_sha256="")
    found = np.array(
        [
            [
                attention_on_the_cause(
                    load_embedder(replace(spec, weights=f"random:{seed}"), "cpu"), seed, gamma
                )
                for seed in range(6)
            ]
            for gamma in (0, 0.5)
        ]
    )
    (share_without, left_without), (share_with, left_with) = found.mean(axis=1)
    assert share_with > 1.4 * share_without
    assert (found[1, :, 0] > found[0, :, 0]).sum() >= 5
    assert left_with < 0.2 * left_without  # measured: 0.10 against 1.34
