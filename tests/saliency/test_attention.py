from dataclasses import replace

import pytest
import torch
from torch import nn

from xmir_cli.errors import SettingError
from xmir_cli.model.head import GeMPool, MaxPool
from xmir_cli.saliency.methods.attention import (
    Method,
    attention_map,
    channel_weights,
    weight_spread,
)
from xmir_cli.saliency.sample import Sample, make_samples


def closed_form(embedder, weights, sample, absolute):
    """ReLU((1/n) c . a_i) with c = W^T g, g = w or w * sign e (average pooling)."""
    g = weights * sample.raw.sign() if absolute else weights
    after = embedder.network.head.after
    c = g @ after[0].weight.detach() if len(after) else g
    cells = sample.features.shape[1] * sample.features.shape[2]
    return torch.einsum("c,chw->hw", c, sample.features).clamp(min=0) / cells


@pytest.mark.parametrize("head", [None, 4])
@pytest.mark.parametrize("absolute", [False, True])
def test_autograd_through_the_head_equals_the_closed_form(
    head, absolute, make_embedder, make_inputs
):
    embedder = make_embedder(head=head)
    target, explained = make_samples(embedder, make_inputs(2))
    weights = channel_weights(target, explained, explained, ())
    found = attention_map(embedder, weights, explained.features, absolute)
    expected = closed_form(embedder, weights, explained, absolute)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


def test_map_before_its_clipping_sums_to_the_score(embedder, pair):
    target, explained = pair
    weights = channel_weights(target, explained, explained, ())
    total = attention_map(embedder, weights, explained.features, absolute=False).sum()
    torch.testing.assert_close(total, weights @ explained.raw)  # features and weights: all >= 0


def test_map_with_a_head_sums_to_the_score_without_the_bias(make_embedder, make_inputs):
    embedder = make_embedder(head=4)
    target, explained = make_samples(embedder, make_inputs(2))
    weights = channel_weights(target, explained, explained, ())
    with torch.no_grad():
        bias = embedder.network.head.after[0].bias
        # raise the features' share until no cell is clipped, so that the sum can be compared
        embedder.network.head.after[0].weight.abs_()
    [explained] = make_samples(embedder, [explained.input])
    total = attention_map(embedder, weights, explained.features, absolute=False).sum()
    torch.testing.assert_close(total, weights @ (explained.raw - bias.detach()))


def test_image_paired_with_itself_weighs_every_channel_the_same(embedder, pair):
    explanation = Method()(embedder, pair[1], pair[1])
    assert explanation.details == {"weight_spread": 0.0}
    weights = channel_weights(pair[1], pair[1], pair[1], ())
    found = attention_map(embedder, weights, pair[1].features, absolute=False)
    torch.testing.assert_close(found, pair[1].features.sum(dim=0) / 64)


def test_weights_of_a_pair_do_not_care_who_is_explained(pair):
    straight = channel_weights(pair[0], pair[1], pair[1], ())
    assert torch.equal(straight, channel_weights(pair[1], pair[0], pair[0], ()))


def test_negative_that_equals_the_anchor_leaves_nothing(embedder, pair):
    target = replace(pair[0], negatives=(pair[0],))
    assert not Method(tuple="triplet")(embedder, target, pair[1]).saliency.any()


def test_triplet_multiplies_the_difference_of_anchor_and_negative(embedder, make_inputs):
    query, retrieved, negative = make_samples(embedder, make_inputs(3))
    anchored = replace(query, negatives=(negative,))
    weights = (1 - (query.embedding - retrieved.embedding).abs()) * (
        query.embedding - negative.embedding
    ).abs()
    for target, explained in ((anchored, retrieved), (retrieved, anchored)):
        found = Method(tuple="triplet")(embedder, target, explained)
        assert found.details["weight_spread"] == pytest.approx(weight_spread(weights), rel=1e-6)


def test_order_of_two_negatives_does_not_matter(embedder, make_inputs):
    query, retrieved, one, other = make_samples(embedder, make_inputs(4))
    method = Method(tuple="quadruplet")
    straight = method(embedder, replace(query, negatives=(one, other)), retrieved).saliency
    turned = method(embedder, replace(query, negatives=(other, one)), retrieved).saliency
    torch.testing.assert_close(turned, straight)


def test_pair_form_ignores_negatives(embedder, make_inputs):
    query, retrieved, negative = make_samples(embedder, make_inputs(3))
    plain = Method()(embedder, query, retrieved).saliency
    with_negative = Method()(embedder, replace(query, negatives=(negative,)), retrieved).saliency
    assert torch.equal(with_negative, plain)


@pytest.mark.parametrize(
    ("wanted", "expected"), [("triplet", "1 negative"), ("quadruplet", "2 negatives")]
)
def test_too_few_negatives_are_refused(embedder, pair, wanted: str, expected: str):
    with pytest.raises(SettingError) as caught:
        Method(tuple=wanted)(embedder, *pair)
    assert str(caught.value) == f"tuple {wanted}: expected {expected}, found 0"


def test_more_negatives_than_a_tuple_has_are_refused(embedder, make_inputs):
    query, retrieved, one, other = make_samples(embedder, make_inputs(4))
    with pytest.raises(SettingError, match="expected 1 negative, found 2"):
        Method(tuple="triplet")(embedder, replace(query, negatives=(one, other)), retrieved)


def test_map_scales_with_the_explained_images_features(embedder, pair):
    target, explained = pair
    louder = Sample(explained.input, 3 * explained.features, 3 * explained.raw, explained.embedding)
    straight = Method()(embedder, target, explained).saliency
    torch.testing.assert_close(Method()(embedder, target, louder).saliency, 3 * straight)


@pytest.mark.parametrize("pool", [MaxPool(), GeMPool()])
def test_other_poolings_give_finite_maps(pool, make_embedder, make_inputs):
    embedder = make_embedder(pool=pool, after=(nn.LayerNorm(6),))
    target, explained = make_samples(embedder, make_inputs(2))
    assert bool(Method()(embedder, target, explained).saliency.isfinite().all())


def test_spread_of_weights_all_zero_is_zero():
    assert weight_spread(torch.zeros(4)) == 0.0
    assert weight_spread(torch.tensor([1.0, 3.0])) == pytest.approx(2**0.5 / 2)


def test_variant_paper_scores_the_absolute_embedding(make_embedder, make_inputs):
    embedder = make_embedder(head=4)
    target, explained = make_samples(embedder, make_inputs(2))
    assert bool((explained.raw < 0).any())
    plain, absolute, paper = (
        Method(**settings)(embedder, target, explained).saliency
        for settings in ({}, {"abs": True}, {"variant": "paper"})
    )
    assert torch.equal(paper, absolute)
    assert not torch.equal(paper, plain)
