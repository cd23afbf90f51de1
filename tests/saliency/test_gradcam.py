import pytest
import torch

from xmir_cli.model.embedder import unit
from xmir_cli.model.head import GeMPool, MaxPool
from xmir_cli.saliency.methods.activation import Method as Activation
from xmir_cli.saliency.methods.gradcam import Method, embedding_gradient
from xmir_cli.saliency.sample import make_samples

CELLS = 64
TARGETS = ["dot", "cosine", "distance"]


def raw_sum(method, embedder, target, explained):
    """The sum over the cells: 8 to 32 pixels is an integer factor, which keeps the mean."""
    return float(method(embedder, target, explained).saliency.double().mean()) * CELLS


def value(name, raw, target):
    """What the gradient is taken of, written down as it is defined."""
    if name == "dot":
        return raw[0] @ target.raw
    f = unit(raw)[0]
    return f @ target.embedding if name == "cosine" else -(f - target.embedding).norm()


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("head", [None, 4])
@pytest.mark.parametrize("pool", [None, MaxPool(), GeMPool()])
def test_gradient_equals_autograd_of_the_whole_target(name, head, pool, make_embedder, make_inputs):
    embedder = make_embedder(pool=pool, head=head)
    target, explained = make_samples(embedder, make_inputs(2))
    leaf = explained.features[None].clone().requires_grad_()
    (expected,) = torch.autograd.grad(value(name, embedder.project(leaf), target), leaf)
    direction = embedding_gradient(name, target, explained)
    found = embedder.gradient(explained.features, direction)
    torch.testing.assert_close(found, expected[0], atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("name", TARGETS)
def test_map_is_the_paper_formula_in_loops(name, make_embedder, make_inputs):
    embedder = make_embedder(pool=GeMPool(), head=4)
    target, explained = make_samples(embedder, make_inputs(2))
    direction = embedding_gradient(name, target, explained)
    gradient = embedder.gradient(explained.features, direction)
    expected = torch.zeros(8, 8)
    for channel in range(6):
        alpha = sum(gradient[channel].flatten().tolist()) / CELLS
        expected += alpha * explained.features[channel]
    found = Method(name, relu=False)(embedder, target, explained).saliency
    assert float(found.mean()) == pytest.approx(float(expected.mean()), rel=1e-4, abs=1e-7)
    cut = Method(name)(embedder, target, explained).saliency
    assert float(cut.mean()) == pytest.approx(float(expected.clamp(min=0).mean()), rel=1e-4)


def test_dot_sums_to_the_product_without_the_bias(make_embedder, make_inputs):
    embedder = make_embedder(head=4)
    target, explained = make_samples(embedder, make_inputs(2))
    bias = embedder.network.head.after[0].bias.detach()
    expected = float(target.raw @ (explained.raw - bias))
    found = raw_sum(Method("dot", relu=False), embedder, target, explained)
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", ["cosine", "distance"])
def test_contrast_sums_to_minus_the_bias_along_the_gradient(name, make_embedder, make_inputs):
    embedder = make_embedder(head=4)
    target, explained = make_samples(embedder, make_inputs(2))
    bias = embedder.network.head.after[0].bias.detach()
    expected = -float(bias @ embedding_gradient(name, target, explained))
    found = raw_sum(Method(name, relu=False), embedder, target, explained)
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", ["cosine", "distance"])
def test_contrast_without_a_head_sums_to_zero(name, embedder, pair):
    explanation = Method(name, relu=False)(embedder, *pair)
    assert explanation.saliency.abs().max() > 1e-4
    assert raw_sum(Method(name, relu=False), embedder, *pair) == pytest.approx(0.0, abs=1e-6)


def test_dot_without_a_head_is_activation_mapping_up_to_the_norms(embedder, pair):
    scale = pair[0].raw.norm() * pair[1].raw.norm()
    shares = Activation()(embedder, *pair).saliency * scale
    torch.testing.assert_close(Method()(embedder, *pair).saliency, shares)


@pytest.mark.parametrize("head", [None, 4])
@pytest.mark.parametrize("name", ["cosine", "distance"])
def test_an_image_with_itself_has_no_contrast_and_says_so(name, head, make_embedder, make_inputs):
    embedder = make_embedder(head=head)
    [itself] = make_samples(embedder, make_inputs(1))
    explanation = Method(name, relu=False)(embedder, itself, itself)
    assert not explanation.saliency.any()
    assert explanation.details["gradient_norm"] == 0.0
    assert explanation.details.get("undefined") == (1.0 if name == "distance" else None)


def test_an_image_with_itself_has_a_map_of_the_dot_product(embedder, pair):
    found = raw_sum(Method(), embedder, pair[1], pair[1])
    assert found == pytest.approx(float(pair[1].raw @ pair[1].raw), rel=1e-5)


def test_unpooled_gradient_is_the_same_for_average_pooling(embedder, pair):
    pooled = Method(relu=False)(embedder, *pair).saliency
    torch.testing.assert_close(
        Method(relu=False, pooled=False)(embedder, *pair).saliency, pooled, atol=1e-6, rtol=1e-4
    )


@pytest.mark.parametrize("pool", [MaxPool(), GeMPool()])
def test_unpooled_dot_sums_to_the_product_for_every_pooling(pool, make_embedder, make_inputs):
    embedder = make_embedder(pool=pool)
    target, explained = make_samples(embedder, make_inputs(2))
    found = raw_sum(Method(relu=False, pooled=False), embedder, target, explained)
    assert found == pytest.approx(float(target.raw @ explained.raw), rel=1e-4)  # Euler


def test_unpooled_map_of_max_pooling_keeps_to_the_maxima(make_embedder, make_inputs):
    embedder = make_embedder(pool=MaxPool())
    target, explained = make_samples(embedder, make_inputs(2))
    gradient = embedder.gradient(explained.features, target.raw)
    assert int((gradient * explained.features).sum(dim=0).count_nonzero()) <= 6
    pooled = Method()(embedder, target, explained).saliency
    unpooled = Method(pooled=False)(embedder, target, explained).saliency
    assert int((unpooled > 0).sum()) < int((pooled > 0).sum())
