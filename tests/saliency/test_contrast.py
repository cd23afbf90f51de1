from dataclasses import replace

import pytest
import torch

from xmir_cli.saliency.contrast import contrast
from xmir_cli.saliency.methods.activation import Method as Activation
from xmir_cli.saliency.methods.gradcam import Method as GradCam
from xmir_cli.saliency.methods.integrated_gradients import Method as IntegratedGradients
from xmir_cli.saliency.methods.occlusion import Method as Occlusion
from xmir_cli.saliency.methods.rise import Method as Rise
from xmir_cli.saliency.sample import make_samples, similarity


@pytest.fixture
def trio(make_embedder, make_inputs):
    embedder = make_embedder(head=4)
    return embedder, *make_samples(embedder, make_inputs(3))


def test_activation_sums_to_the_difference_of_the_similarities(trio):
    embedder, query, other, retrieved = trio
    found = contrast(Activation(), embedder, (query, other), retrieved)
    gap = similarity(query, retrieved) - similarity(other, retrieved)
    assert abs(gap) > 1e-3
    assert float(found.saliency.double().mean()) * 64 == pytest.approx(gap, abs=1e-5)
    assert found.details["contrast_similarity"] == similarity(other, retrieved)
    assert found.details["contrast_residual"] == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(
    "method", [Activation(), Rise(masks=40), Rise(masks=40, estimate="debiased")]
)
def test_similarity_methods_map_the_difference_of_the_target_embeddings(method, trio):
    embedder, query, other, retrieved = trio
    between = replace(query, embedding=query.embedding - other.embedding)
    expected = method(embedder, between, retrieved).saliency
    found = contrast(method, embedder, (query, other), retrieved).saliency
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-3)


def test_signed_occlusion_maps_the_similarity_lost_to_the_first_minus_the_second(trio):
    embedder, query, other, retrieved = trio
    method = Occlusion(window_size=8, stride=8, grid="valid", distance="cosine", clip_windows=False)
    found = contrast(method, embedder, (query, other), retrieved).saliency
    hidden = retrieved.input.clone()
    hidden[:, 8:16, 16:24] = 0
    lost = retrieved.embedding - embedder.embed(hidden[None])[0]
    expected = float(lost.double() @ (query.embedding - other.embedding).double())
    assert float(found[10, 20]) == pytest.approx(expected, abs=1e-6)


def test_gradcam_without_relu_maps_the_difference_of_the_raw_embeddings(trio):
    embedder, query, other, retrieved = trio
    method = GradCam(relu=False)
    between = replace(query, raw=query.raw - other.raw)
    expected = method(embedder, between, retrieved).saliency
    found = contrast(method, embedder, (query, other), retrieved).saliency
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-4)


def test_integrated_gradients_stay_complete(trio):
    embedder, query, other, retrieved = trio
    found = contrast(IntegratedGradients(), embedder, (query, other), retrieved)
    gray = embedder.embed(torch.zeros(1, 3, 32, 32))[0]
    gained = [
        float(target.embedding @ retrieved.embedding - target.embedding @ gray)
        for target in (query, other)
    ]
    missing = (
        found.details["completeness_residual"] - found.details["contrast_completeness_residual"]
    )
    total = float(found.saliency.double().sum())
    assert total + missing == pytest.approx(gained[0] - gained[1], abs=1e-5)
    assert found.evaluations == 66


def test_swapped_targets_turn_the_sign(trio):
    embedder, query, other, retrieved = trio
    straight = contrast(Activation(), embedder, (query, other), retrieved).saliency
    turned = contrast(Activation(), embedder, (other, query), retrieved).saliency
    assert torch.equal(straight, -turned)


def test_image_contrasted_with_the_target_itself_has_an_empty_map(trio):
    embedder, query, _, retrieved = trio
    found = contrast(Occlusion(window_size=8, stride=4), embedder, (query, query), retrieved)
    assert not found.saliency.any()
