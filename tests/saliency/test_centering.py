import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from xmir_cli.model.head import GeMPool, MaxPool
from xmir_cli.saliency.centering import Centered, read_mean
from xmir_cli.saliency.contrast import contrast
from xmir_cli.saliency.methods.activation import Method as Activation
from xmir_cli.saliency.methods.activation import scaled_cells
from xmir_cli.saliency.methods.bilrp import Method as Bilrp
from xmir_cli.saliency.sample import make_samples, similarity
from xmir_cli.saliency.upsample import upsample

CELLS = 64


@pytest.fixture
def world(make_embedder, make_inputs):
    """A network with a head, a gallery's mean, and three images of it."""
    embedder = make_embedder(head=4)
    samples = make_samples(embedder, make_inputs(12))
    mean = read_mean(torch.stack([each.embedding for each in samples]).mean(dim=0).numpy())
    return embedder, mean, samples


def naive(mean, target, explained):
    """The centred similarity, number by number."""
    pairs = [
        (t - m, r - m)
        for t, r, m in zip(
            target.embedding.tolist(),
            explained.embedding.tolist(),
            mean.vector.tolist(),
            strict=True,
        )
    ]
    lengths = [sum(pair[side] ** 2 for pair in pairs) ** 0.5 for side in (0, 1)]
    return sum(t * r for t, r in pairs) / lengths[0] / lengths[1], lengths


@pytest.mark.parametrize("after", [(), (nn.LayerNorm(6),)])
@pytest.mark.parametrize("pool", [None, MaxPool(), GeMPool()])
@pytest.mark.parametrize("method", [Activation(), Bilrp()])
def test_places_residual_and_mean_sum_to_the_centred_similarity(
    make_embedder, make_inputs, method, pool, after
):
    embedder = make_embedder(pool, 4, after)
    samples = make_samples(embedder, make_inputs(12))
    mean = read_mean(torch.stack([each.embedding for each in samples]).mean(dim=0).numpy())
    found = Centered(method, mean)(embedder, samples[0], samples[1])
    expected, _ = naive(mean, samples[0], samples[1])
    assert abs(expected - similarity(samples[0], samples[1])) > 0.05
    assert found.details["centered"] == pytest.approx(expected, abs=1e-5)
    places = float(found.saliency.double().mean()) * CELLS
    total = places + found.details["residual"] + found.details["mean"]
    total += found.details.get("rest", 0.0)
    assert total == pytest.approx(expected, abs=1e-5)
    if isinstance(method, Activation):
        assert found.details["residual"] == pytest.approx(0, abs=1e-5)


def test_a_place_has_its_product_with_the_centred_target_over_both_lengths(world):
    embedder, mean, samples = world
    target, explained = samples[:2]
    found = Centered(Activation(), mean)(embedder, target, explained)
    _, lengths = naive(mean, target, explained)
    aim = [t - m for t, m in zip(target.embedding.tolist(), mean.vector.tolist(), strict=True)]
    size = float(explained.raw.norm()) * lengths[0] * lengths[1]
    shares = [
        sum(a * c for a, c in zip(aim, cell, strict=True)) / size
        for cell in embedder.cells(explained.features[None])[0].tolist()
    ]
    expected = upsample(torch.tensor(shares).reshape(8, 8), 32)
    torch.testing.assert_close(found.saliency, expected, atol=1e-5, rtol=1e-4)
    constant = -sum(a * m for a, m in zip(aim, mean.vector.tolist(), strict=True))
    assert found.details["mean"] == pytest.approx(constant / lengths[0] / lengths[1], abs=1e-5)


@pytest.mark.parametrize("method", [Activation(matches=3), Bilrp(gamma=0, matches=3)])
def test_pairs_of_cells_spread_the_mean_over_both_images(world, method):
    embedder, mean, samples = world
    target, explained = samples[:2]
    straight = Centered(method, mean)(embedder, target, explained).matches
    assert len(straight) == 3
    expected, lengths = naive(mean, target, explained)
    bias = isinstance(method, Activation)
    t, r = (
        scaled_cells(embedder, each, bias) - mean.vector / CELLS for each in (target, explained)
    )
    pairs = t @ r.T / lengths[0] / lengths[1]
    if bias:
        assert float(pairs.double().sum()) == pytest.approx(expected, abs=1e-5)
    assert straight[0].share == pytest.approx(float(pairs.max()), abs=1e-5)
    turned = Centered(method, mean)(embedder, explained, target).matches
    assert [each.share for each in turned] == pytest.approx([each.share for each in straight])
    assert turned[0].target == straight[0].explained


def test_points_of_the_target_share_out_the_centred_similarity(world):
    embedder, mean, samples = world
    target, explained = (replace(each, picture=(32.0, 32.0)) for each in samples[:2])
    method = Activation(point="13,22")
    weights = method._weights(target, (8, 8))
    found = Centered(method, mean)(embedder, target, explained)
    _, lengths = naive(mean, target, explained)
    cells = scaled_cells(embedder, target, True) - mean.vector / CELLS
    own = scaled_cells(embedder, explained, True).sum(dim=0)
    expected = float(weights @ cells @ own) / lengths[0] / lengths[1]
    assert found.details["share"] == pytest.approx(expected, abs=1e-5)


def test_a_contrast_sums_to_the_difference_of_the_centred_similarities(world):
    embedder, mean, samples = world
    query, other, retrieved = samples[:3]
    found = contrast(Centered(Activation(), mean), embedder, (query, other), retrieved)
    gap = naive(mean, query, retrieved)[0] - naive(mean, other, retrieved)[0]
    places = float(found.saliency.double().mean()) * CELLS
    constants = found.details["mean"] - found.details["contrast_mean"]
    assert places + constants == pytest.approx(gap, abs=1e-5)
    assert found.details["contrast_centered"] == pytest.approx(
        naive(mean, other, retrieved)[0], abs=1e-5
    )


def test_an_image_that_is_the_mean_has_an_empty_map(world):
    embedder, _, samples = world
    mean = read_mean(samples[0].embedding.numpy())
    for target, explained in (samples[:2], samples[1::-1], samples[:1] * 2):
        found = Centered(Activation(), mean)(embedder, target, explained)
        assert not found.saliency.any()
        assert found.details["undefined"] == 1.0
        assert (found.details["centered"], found.details["mean"]) == (0.0, 0.0)
        assert found.details["residual"] == 0.0
    both = torch.stack([samples[0].embedding, samples[1].embedding])
    assert mean.similarities(both, samples[1].embedding)[0] == 0
    assert not mean.similarities(both, samples[0].embedding).any()


def test_the_mean_is_named_by_its_numbers(world):
    _, mean, samples = world
    numbers = np.asarray(mean.vector).astype("<f4").tobytes()
    assert mean.sha256 == hashlib.sha256(numbers).hexdigest()
    assert mean.sha256 != read_mean(samples[0].embedding.numpy()).sha256


def test_similarities_of_many_are_those_of_each(world):
    _, mean, samples = world
    embeddings = torch.stack([each.embedding for each in samples])
    found = mean.similarities(embeddings, samples[0].embedding)
    expected = [naive(mean, samples[0], each)[0] for each in samples]
    assert found.tolist() == pytest.approx(expected, abs=1e-5)
