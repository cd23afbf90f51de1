from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from xmir_cli.errors import SettingError
from xmir_cli.model.head import AveragePool, GeMPool, MaxPool
from xmir_cli.saliency.methods.activation import Method, scaled_cells
from xmir_cli.saliency.regions import point_weights
from xmir_cli.saliency.sample import Sample, make_samples, similarity

POOLS = [AveragePool(), MaxPool(), GeMPool()]
HEADS = [None, 4]


def neck():
    """A BatchNorm with statistics and an epsilon that matter."""
    layer = nn.BatchNorm1d(6, eps=0.1)
    generator = torch.Generator().manual_seed(8)
    with torch.no_grad():
        for tensor in (layer.weight, layer.bias, layer.running_mean, layer.running_var):
            tensor.copy_(torch.rand(6, generator=generator) + 0.1)
    return layer


@pytest.fixture(
    params=[(pool, head, after) for pool in POOLS for head in HEADS for after in (0, 1)]
)
def case(request, make_embedder, make_inputs):
    pool, head, after = request.param
    embedder = make_embedder(pool=pool, head=head, after=(neck(),) if after else ())
    return embedder, *make_samples(embedder, make_inputs(2))


def matrix(embedder, target, explained, bias=True):
    """D [n, n] of section 3.1, pair by pair of cells."""
    return scaled_cells(embedder, target, bias) @ scaled_cells(embedder, explained, bias).T


def test_map_sums_to_the_similarity_for_every_pooling_and_head(case):
    embedder, target, explained = case
    explanation = Method()(embedder, target, explained)
    assert explanation.details["residual"] == pytest.approx(0.0, abs=1e-5)
    cells = explained.features.shape[1] * explained.features.shape[2]
    total = float(explanation.saliency.double().mean()) * cells  # 8 to 32 is an integer factor
    assert total == pytest.approx(similarity(target, explained), abs=1e-5)


def test_map_is_the_column_sum_of_all_pairs_of_cells(case):
    embedder, target, explained = case
    columns = matrix(embedder, target, explained).sum(dim=0)
    found = Method()._pull(embedder, target, explained).places
    torch.testing.assert_close(found, columns, atol=1e-6, rtol=1e-4)


def test_swapping_the_images_transposes_the_matrix(case):
    embedder, target, explained = case
    straight = matrix(embedder, target, explained)
    torch.testing.assert_close(matrix(embedder, explained, target), straight.T)


def test_an_image_with_itself_is_symmetric_positive_and_sums_to_one(case):
    embedder, _, explained = case
    pairs = matrix(embedder, explained, explained)
    torch.testing.assert_close(pairs, pairs.T)
    assert float(torch.linalg.eigvalsh(pairs.double()).min()) > -1e-6
    assert float(pairs.sum()) == pytest.approx(1.0, abs=1e-5)


def test_features_without_a_head_never_speak_against(embedder, pair):
    assert matrix(embedder, *pair).min() >= 0
    assert Method()(embedder, *pair).saliency.min() >= 0


def test_dropped_bias_leaves_the_amount_of_the_formula(make_embedder, make_inputs):
    embedder = make_embedder(head=4)
    target, explained = make_samples(embedder, make_inputs(2))
    bias = embedder.network.head.after[0].bias.detach()
    e_q, e_r = target.raw, explained.raw
    missing = (e_q @ bias + bias @ e_r - bias @ bias) / (e_q.norm() * e_r.norm())
    found = Method(bias="drop")(embedder, target, explained)
    assert found.details["residual"] == pytest.approx(float(missing), abs=1e-6)


def test_separate_bias_is_the_explained_images_constant(make_embedder, make_inputs):
    embedder = make_embedder(head=4)
    target, explained = make_samples(embedder, make_inputs(2))
    bias = embedder.network.head.after[0].bias.detach()
    constant = target.embedding @ bias / explained.raw.norm()
    found = Method(bias="separate")(embedder, target, explained)
    assert found.details["residual"] == pytest.approx(float(constant), abs=1e-6)


def test_clipping_by_cell_and_by_pair_as_in_zhu(make_embedder, make_inputs):
    embedder = make_embedder(head=4)
    with torch.no_grad():  # contrasts of channels have both signs
        weight = embedder.network.head.after[0].weight
        weight -= weight.mean(dim=1, keepdim=True)
    target, explained = make_samples(embedder, make_inputs(2))
    pairs = matrix(embedder, target, explained)
    assert pairs.min() < 0
    signed = pairs.sum(dim=0)
    cell = Method(clip="cell")._pull(embedder, target, explained).places
    pair = Method(clip="pair")._pull(embedder, target, explained).places
    torch.testing.assert_close(cell, signed.clamp(min=0), atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(pair, pairs.clamp(min=0).sum(dim=0), atol=1e-6, rtol=1e-4)


def test_dropped_bias_with_pairs_clipped_uses_no_bias_on_either_side(make_embedder, make_inputs):
    embedder = make_embedder(head=4)
    target, explained = make_samples(embedder, make_inputs(2))
    expected = matrix(embedder, target, explained, bias=False).clamp(min=0).sum(dim=0)
    found = Method(bias="drop", clip="pair")._pull(embedder, target, explained).places
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-4)


def naive_pairs(embedder, target, explained, bias):
    """D of section 3.1 for average pooling and an affine head, one pair of cells at a time."""
    layer = embedder.network.head.after[0]
    weight, constant = (part.detach().double().numpy() for part in (layer.weight, layer.bias))
    spread = {"target": bias != "drop", "explained": bias == "spread"}
    parts = {}
    for name, sample in (("target", target), ("explained", explained)):
        columns = sample.features.flatten(1).T.double().numpy()
        cells = [weight @ column + constant * spread[name] for column in columns]
        parts[name] = np.array(cells) / len(columns) / float(sample.raw.double().norm())
    return np.array([[a @ b for b in parts["explained"]] for a in parts["target"]])


@pytest.mark.parametrize("bias", ["spread", "separate", "drop"])
def test_every_bias_is_the_naive_sum_whatever_is_clipped_or_matched(
    bias, make_embedder, make_inputs
):
    embedder = make_embedder(head=4)
    target, explained = make_samples(embedder, make_inputs(2))
    naive = naive_pairs(embedder, target, explained, bias)
    expected = {
        "none": naive.sum(axis=0),
        "cell": naive.sum(axis=0).clip(min=0),
        "pair": naive.clip(min=0).sum(axis=0),
    }
    for clip, shares in expected.items():
        found = Method(bias, clip)._pull(embedder, target, explained).places
        np.testing.assert_allclose(found, shares, atol=1e-6, rtol=1e-4)
    (best,) = Method(bias, matches=1)(embedder, target, explained).matches
    assert best.share == pytest.approx(naive.max(), rel=1e-4)


def test_average_pooling_gives_the_classic_formula(make_embedder, make_inputs):
    embedder = make_embedder(head=4)
    target, explained = make_samples(embedder, make_inputs(2))
    layer = embedder.network.head.after[0]
    cells = explained.features.flatten(1).T  # [n, C]
    expected = (cells @ layer.weight.T + layer.bias).detach() @ target.embedding
    found = Method()._pull(embedder, target, explained).places * len(cells) * explained.raw.norm()
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_scaling_the_features_changes_nothing(embedder, pair):
    target, explained = pair
    louder = Sample(explained.input, 3 * explained.features, 3 * explained.raw, explained.embedding)
    straight = Method()(embedder, target, explained).saliency
    torch.testing.assert_close(Method()(embedder, target, louder).saliency, straight)


def test_permuting_the_cells_permutes_the_map(embedder, pair):
    target, explained = pair
    turned = Sample(explained.input, explained.features.flip(1), explained.raw, explained.embedding)
    straight = Method()._pull(embedder, target, explained).places.reshape(8, 8)
    found = Method()._pull(embedder, target, turned).places.reshape(8, 8)
    torch.testing.assert_close(found, straight.flip(0))


def test_max_pooling_marks_at_most_one_cell_a_channel(make_embedder, make_inputs):
    embedder = make_embedder(pool=MaxPool())
    target, explained = make_samples(embedder, make_inputs(2))
    assert int((Method()._pull(embedder, target, explained).places != 0).sum()) <= 6


@pytest.mark.parametrize("bias", ["spread", "drop"])
@pytest.mark.parametrize("clip", ["none", "pair"])
def test_point_map_weighs_the_rows_of_the_matrix(bias, clip, make_embedder, make_inputs):
    embedder = make_embedder(head=4)
    target, explained = make_samples(embedder, make_inputs(2))
    pairs = matrix(embedder, target, explained, bias == "spread")
    expected = point_weights((13, 6), target.crop, (8, 8)) @ (
        pairs.clamp(min=0) if clip == "pair" else pairs
    )
    found = Method(bias, clip, point="13,6")._pull(embedder, target, explained).places
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-4)


def test_point_in_the_middle_of_a_cell_is_its_row_of_the_matrix(make_embedder, make_inputs):
    embedder = make_embedder(head=4)
    target, explained = make_samples(embedder, make_inputs(2))
    row = matrix(embedder, target, explained)[8 * 5 + 2]
    method = Method(point="9.5,21.5")
    torch.testing.assert_close(method._pull(embedder, target, explained).places, row)
    details = method(embedder, target, explained).details
    assert details == {"share": pytest.approx(float(row.sum()), abs=1e-6)}


def test_point_is_a_pixel_of_the_original_picture(embedder, pair):
    target, explained = pair
    moved = replace(target, roi=(100.0, 50.0, 320.0, 320.0))
    expected = Method(point="9.5,21.5")(embedder, target, explained).saliency
    found = Method(point="199.5,269.5")(embedder, moved, explained).saliency
    torch.testing.assert_close(found, expected)


def test_point_that_the_network_does_not_see_is_refused(embedder, pair):
    target = replace(pair[0], roi=(100.0, 50.0, 320.0, 320.0))
    with pytest.raises(SettingError) as caught:
        Method(point="99,60")(embedder, target, pair[1])
    assert str(caught.value) == "point 99,60: outside what the network sees of the image"
    assert caught.value.hint == "It sees 320 x 320 pixels from 100,50."


def test_no_match_lies_beyond_the_picture(embedder, pair):
    target, explained = pair  # 32 pixels, of which the lower 17 are beyond
    seen = [replace(each, roi=(0, 0, 32, 32), picture=(32, 15)) for each in pair]
    pairs = matrix(embedder, target, explained)
    pairs[32:], pairs[:, 32:] = 0, 0
    matches = Method(matches=2)(embedder, *seen).matches
    assert matches[0].share == float(pairs.max())
    for match in matches:
        for _, top, _, height in (match.target, match.explained):
            assert 0 <= top < top + height <= 15


def test_matches_are_the_strongest_pairs_of_the_matrix_in_original_pixels(embedder, pair):
    target, explained = replace(pair[0], roi=(10.0, 0.0, 64.0, 64.0)), pair[1]
    explanation = Method(matches=3)(embedder, target, explained)
    pairs = matrix(embedder, target, explained)
    assert len(explanation.matches) == 3
    shares = [match.share for match in explanation.matches]
    assert shares[0] == float(pairs.max())
    assert shares == sorted(shares, reverse=True)
    for match in explanation.matches:
        column, row = (match.target[0] - 10) / 8, match.target[1] / 8
        first = int(row * 8 + column)
        second = int(match.explained[1] / 4 * 8 + match.explained[0] / 4)
        assert match.share == float(pairs[first, second])
        assert match.target[2:] == (8, 8)
        assert match.explained[2:] == (4, 4)


def test_matches_of_the_swapped_images_are_the_same_pairs(embedder, pair):
    straight = Method(matches=4)(embedder, *pair).matches
    turned = Method(matches=4)(embedder, pair[1], pair[0]).matches
    assert [(match.target, match.explained) for match in straight] == [
        (match.explained, match.target) for match in turned
    ]


def test_matches_leave_the_map_as_it_is(embedder, pair):
    plain = Method()(embedder, *pair)
    assert plain.matches == ()
    assert torch.equal(Method(matches=2)(embedder, *pair).saliency, plain.saliency)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"point": "here"}, "point: expected X,Y, found here"),
        ({"point": "-1,2"}, "point: expected X,Y, found -1,2"),
        ({"matches": -1}, "matches: expected 0 or more, found -1"),
        (
            {"point": "1,2", "matches": 3},
            "matches: pairs of all regions do not go with a single `point`",
        ),
    ],
)
def test_bad_point_or_matches_is_refused(settings, message):
    with pytest.raises(SettingError) as caught:
        Method(**settings)
    assert str(caught.value) == message
