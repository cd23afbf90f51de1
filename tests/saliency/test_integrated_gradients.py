import pytest
import torch

from xmir_cli.errors import SettingError
from xmir_cli.saliency.methods.integrated_gradients import Method, input_gradients
from xmir_cli.saliency.sample import make_samples, similarity


def score(embedder, target, image):
    return float(embedder.embed(image[None])[0].double() @ target.embedding.double())


@pytest.mark.parametrize("baseline", ["gray", "black", "blur"])
@pytest.mark.parametrize("head", [None, 4])
def test_map_sums_to_what_the_similarity_gains_from_the_baseline(
    baseline, head, make_embedder, make_inputs
):
    embedder = make_embedder(head=head)
    target, explained = make_samples(embedder, make_inputs(2))
    explanation = Method(baseline, path_steps=256)(embedder, target, explained)
    assert explanation.saliency.abs().sum() > 0.01
    assert explanation.details["completeness_residual"] == pytest.approx(0.0, abs=5e-3)


def test_residual_is_the_gain_that_the_map_does_not_hold(embedder, pair):
    explanation = Method(path_steps=4)(embedder, *pair)
    gained = similarity(*pair) - score(embedder, pair[0], torch.zeros(3, 32, 32))
    missing = gained - float(explanation.saliency.double().sum())
    assert explanation.details["completeness_residual"] == pytest.approx(missing, abs=1e-6)


def test_residual_falls_with_more_steps(embedder, pair):
    coarse = Method(path_steps=2)(embedder, *pair).details["completeness_residual"]
    fine = Method(path_steps=128)(embedder, *pair).details["completeness_residual"]
    assert abs(fine) < abs(coarse) / 10


def test_network_without_biases_jumps_at_the_gray_baseline_and_says_so(make_embedder, make_inputs):
    embedder = make_embedder(spotlight=True)
    target, explained = make_samples(embedder, make_inputs(2))
    residual = Method()(embedder, target, explained).details["completeness_residual"]
    assert residual == pytest.approx(similarity(target, explained), abs=1e-5)


def test_map_is_the_midpoint_sum_in_loops(embedder, pair):
    target, explained = pair
    expected = torch.zeros(32, 32, dtype=torch.float64)
    for step in range(3):
        point = (explained.input * ((step + 0.5) / 3)).requires_grad_()
        raw = embedder.network(point[None])[0]
        (raw @ target.embedding / raw.norm()).backward()
        expected += (explained.input * point.grad / 3).sum(dim=0)
    for parameter in embedder.network.parameters():
        parameter.grad = None
    found = Method(path_steps=3)(embedder, target, explained)
    torch.testing.assert_close(found.saliency.double(), expected, atol=1e-6, rtol=1e-4)
    assert found.evaluations == 4


def test_gradient_is_the_slope_of_the_similarity(embedder, pair):
    target, explained = pair
    gradient = input_gradients(embedder, target, explained.input[None])[0]
    step = 0.01 * gradient / gradient.norm()
    rise = score(embedder, target, explained.input + step)
    fall = score(embedder, target, explained.input - step)
    assert (rise - fall) / 0.02 == pytest.approx(float(gradient.norm()), rel=0.02)


def test_batch_size_does_not_change_the_map(embedder, pair):
    embedder.batch = 5
    small = Method()(embedder, *pair).saliency
    embedder.batch = 64
    torch.testing.assert_close(Method()(embedder, *pair).saliency, small, atol=1e-7, rtol=1e-4)


def test_image_that_is_its_own_baseline_has_an_empty_map(embedder, pair):
    [gray] = make_samples(embedder, [torch.zeros(3, 32, 32)])
    explanation = Method()(embedder, pair[0], gray)
    assert not explanation.saliency.any()
    assert explanation.details["completeness_residual"] == 0.0


def test_no_steps_are_refused():
    with pytest.raises(SettingError, match="path_steps: expected 1 or more, found 0"):
        Method(path_steps=0)
