import pytest
import torch
from torch import nn

from xmir_cli.errors import SettingError
from xmir_cli.model.head import GeMPool, MaxPool
from xmir_cli.saliency.methods.activation import Method as Activation
from xmir_cli.saliency.methods.bilrp import Method, relevances
from xmir_cli.saliency.sample import make_samples, similarity


def without_bias(embedder):
    with torch.no_grad():
        embedder.network.head.after[0].bias.zero_()
    return embedder


@pytest.mark.parametrize("gamma", [0.0, 0.25, 3.0])
@pytest.mark.parametrize("pool", [None, MaxPool(), GeMPool()])
@pytest.mark.parametrize("head", [None, 4])
def test_without_a_bias_the_relevances_sum_to_the_similarity(
    gamma, pool, head, make_embedder, make_inputs
):
    embedder = make_embedder(pool=pool, head=head)
    if head:
        without_bias(embedder)
    target, explained = make_samples(embedder, make_inputs(2))
    found = Method(gamma)(embedder, target, explained)
    assert found.details["residual"] == pytest.approx(0, abs=1e-6)
    total = float(found.saliency.double().mean()) * 64
    assert total == pytest.approx(similarity(target, explained), abs=1e-5)


def test_a_bias_keeps_its_part_and_the_record_says_how_much(make_embedder, make_inputs):
    embedder = make_embedder(head=4)
    target, explained = make_samples(embedder, make_inputs(2))
    found = Method()(embedder, target, explained)
    total = float(found.saliency.double().mean()) * 64
    residual = similarity(target, explained) - total
    assert found.details["residual"] == pytest.approx(residual, abs=1e-5)
    assert abs(residual) > 1e-3


def test_gamma_0_is_activation_mapping(make_embedder, make_inputs):
    embedder = without_bias(make_embedder(head=4))
    target, explained = make_samples(embedder, make_inputs(2))
    expected = Activation(matches=3)(embedder, target, explained)
    found = Method(0.0, matches=3)(embedder, target, explained)
    torch.testing.assert_close(found.saliency, expected.saliency, atol=1e-6, rtol=1e-4)
    assert [match.target for match in found.matches] == [match.target for match in expected.matches]


def test_relevances_are_the_rule_in_loops(make_embedder, make_inputs):
    gamma, embedder = 0.5, make_embedder(head=4)
    [sample] = make_samples(embedder, make_inputs(1))
    linear = embedder.network.head.after[0]
    weight, bias = linear.weight.detach().double(), linear.bias.detach().double()
    features = sample.features.double().flatten(1)  # [C, n]
    pooled, raw = features.mean(dim=1), sample.raw.double()
    expected = torch.zeros(64, 4, dtype=torch.float64)
    for m in range(4):
        favoured = [
            weight[m, c] * (1 + gamma * bool(pooled[c] * weight[m, c] * raw[m] > 0))
            for c in range(6)
        ]
        total = sum(pooled[c] * favoured[c] for c in range(6))
        total += bias[m] * (1 + gamma * bool(bias[m] * raw[m] > 0))
        assert abs(total) >= abs(raw[m]) - 1e-6
        for cell in range(64):
            for c in range(6):
                relevance = pooled[c] * favoured[c] / total * raw[m]
                part = features[c, cell] / 64 / pooled[c] if pooled[c] else 0.0
                expected[cell, m] += relevance * part / raw.norm()
    found = relevances(embedder, sample, gamma).double()
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_batch_norm_of_the_head_is_folded(make_embedder, make_inputs):
    norm = nn.BatchNorm1d(6)
    norm.running_mean.zero_()
    norm.running_var.copy_(torch.arange(1.0, 7))
    embedder = make_embedder(after=(norm,))
    target, explained = make_samples(embedder, make_inputs(2))
    found = Method()(embedder, target, explained)
    assert found.details["residual"] == pytest.approx(0, abs=1e-6)


def test_the_deviation_of_a_layer_norm_is_held(make_embedder, make_inputs):
    norm = nn.LayerNorm(6)
    with torch.no_grad():
        norm.bias.copy_(torch.arange(6.0) / 6)
    embedder = make_embedder(after=(norm,))
    target, explained = make_samples(embedder, make_inputs(2))
    details = Method()(embedder, target, explained).details
    assert details["residual"] == pytest.approx(0, abs=1e-6)
    assert details["held"] == "deviations"
    whole = similarity(target, explained)
    assert details["places"] + details["rest"] == pytest.approx(whole, abs=1e-6)
    assert abs(details["rest"]) > 1e-2


@pytest.mark.parametrize("settings", [{"gamma": -0.1}, {"gamma": float("nan")}, {"matches": -1}])
def test_bad_settings_are_refused(settings):
    with pytest.raises(SettingError, match="expected 0 or more"):
        Method(**settings)
