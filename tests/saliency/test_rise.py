import pytest
import torch

from xmir_cli.errors import SettingError
from xmir_cli.saliency.masks import draw_masks
from xmir_cli.saliency.methods.rise import Method
from xmir_cli.saliency.sample import make_samples

FEW = 60


def masked_similarities(embedder, target, explained, count):
    """One image at a time, one mask at a time."""
    masks = draw_masks(count, 7, 0.5, embedder.size, 0).render(0, count)
    scores = [
        float(
            embedder.embed((mask * explained.input)[None])[0].double() @ target.embedding.double()
        )
        for mask in masks
    ]
    return masks.double(), torch.tensor(scores, dtype=torch.float64)


@pytest.mark.parametrize("estimate", ["slope", "debiased", "rise"])
def test_map_is_the_formula_over_masked_images(estimate, embedder, pair):
    masks, scores = masked_similarities(embedder, *pair, FEW)
    spread = masks - masks.mean(dim=0)
    covariance = torch.einsum("n,nhw->hw", scores - scores.mean(), spread) / FEW
    expected = {
        "slope": covariance / spread.square().mean(dim=0),
        "debiased": torch.einsum("n,nhw->hw", scores, masks - 0.5) / FEW,
        "rise": torch.einsum("n,nhw->hw", scores, masks) / FEW / 0.5,
    }[estimate]
    found = Method(masks=FEW, estimate=estimate)(embedder, *pair)
    torch.testing.assert_close(found.saliency, expected.float(), atol=1e-5, rtol=1e-4)
    assert found.evaluations == FEW


def test_forms_of_the_mean_differ_by_the_mean_similarity_alone(embedder, pair):
    _, scores = masked_similarities(embedder, *pair, FEW)
    plain = Method(masks=FEW, estimate="rise")(embedder, *pair).saliency
    debiased = Method(masks=FEW, estimate="debiased")(embedder, *pair).saliency
    torch.testing.assert_close(0.5 * plain, debiased + 0.5 * float(scores.mean()))


def test_batch_size_does_not_change_the_map(embedder, make_inputs):
    embedder.batch = 7
    small = Method(masks=FEW)(embedder, *make_samples(embedder, make_inputs(2)))
    embedder.batch = 64
    large = Method(masks=FEW)(embedder, *make_samples(embedder, make_inputs(2)))
    torch.testing.assert_close(small.saliency, large.saliency, atol=1e-6, rtol=1e-5)


def test_error_falls_with_the_square_root_of_the_masks(embedder, pair):
    few = Method(masks=100)(embedder, *pair).details["standard_error"]
    many = Method(masks=1600)(embedder, *pair).details["standard_error"]
    assert few / many == pytest.approx(4.0, rel=0.2)


def test_masked_embeddings_serve_every_target(embedder, make_inputs):
    one, other, explained = make_samples(embedder, make_inputs(3))
    Method(masks=FEW)(embedder, one, explained)
    [known] = explained.memo.values()
    found = Method(masks=FEW, estimate="debiased")(embedder, other, explained)
    assert [id(each) for each in explained.memo.values()] == [id(known)]
    [fresh] = make_samples(embedder, [explained.input])
    expected = Method(masks=FEW, estimate="debiased")(embedder, other, fresh)
    assert torch.equal(found.saliency, expected.saliency)
    assert found.evaluations == expected.evaluations == FEW


def test_other_seed_gives_another_map_within_the_errors(embedder, pair):
    first = Method(masks=400)(embedder, *pair)
    second = Method(masks=400, seed=1)(embedder, *pair)
    apart = (first.saliency - second.saliency).square().mean().sqrt()
    assert 0 < float(apart) < 4 * first.details["standard_error"]


def test_largest_value_lies_in_the_only_patch_that_the_network_sees(
    make_embedder, make_inputs, spot
):
    embedder = make_embedder(spotlight=True)
    target, explained = make_samples(embedder, make_inputs(2))
    saliency = Method()(embedder, target, explained).saliency
    row, column = divmod(int(saliency.abs().argmax()), 32)
    assert spot[0].start - 2 <= row < spot[0].stop + 2
    assert spot[1].start - 2 <= column < spot[1].stop + 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"masks": 1}, "masks: expected 2 or more, found 1"),
        ({"cells": 0}, "cells: expected 1 or more, found 0"),
        ({"probability": 1.0}, "probability: expected a number between 0 and 1, found 1"),
        (
            {"probability": float("nan")},
            "probability: expected a number between 0 and 1, found nan",
        ),
    ],
)
def test_bad_setting_is_refused(settings, message):
    with pytest.raises(SettingError) as caught:
        Method(**settings)
    assert str(caught.value) == message
