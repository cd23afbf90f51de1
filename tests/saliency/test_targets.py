"""The target of an explanation is an embedding: an image's, or one that no image stands behind."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from xmir_cli.errors import ModelError, SettingError
from xmir_cli.labels import LabelSets
from xmir_cli.model.embedder import unit
from xmir_cli.saliency import load_method, method_names
from xmir_cli.saliency.sample import LabelledGallery, make_samples, make_target

SMALL = {"occlusion": {"window_size": "8", "stride": "4"}, "rise": {"masks": "40"}}
REFUSING = {"bilrp", "weight-transfer"}


def explained_in_a_gallery(embedder, inputs):
    """A sample whose gallery has triplets, for methods that need one."""
    (sample,) = make_samples(embedder, inputs)
    vectors = np.concatenate([sample.embedding.numpy()[None], np.eye(6, dtype=np.float32)[:3]])
    return replace(sample, gallery=LabelledGallery(vectors, LabelSets(["a", "a", "b", "b"])))


@pytest.mark.parametrize("name", method_names())
def test_embedding_alone_is_a_target_or_the_reason_is_told(name, embedder, make_inputs):
    """A method that needs more of the target than its embedding asks `need_image` for it."""
    target = make_target(unit(torch.randn(6, generator=torch.Generator().manual_seed(0))))
    explained = explained_in_a_gallery(embedder, make_inputs(1))
    method = load_method(name, SMALL.get(name, {}))
    if name == "rollout":  # of a network that has no attention, whatever the target
        with pytest.raises(ModelError, match="it has no attention"):
            method(embedder, target, explained)
        return
    if name in REFUSING:
        with pytest.raises(SettingError, match="words"):
            method(embedder, target, explained)
        return
    explanation = method(embedder, target, explained)
    assert explanation.saliency.shape == (32, 32)
    assert bool(explanation.saliency.isfinite().all())


@pytest.mark.parametrize("name", ["occlusion", "rise", "integrated-gradients", "activation"])
def test_a_map_depends_on_nothing_but_the_targets_embedding(name, embedder, make_inputs):
    image, explained = make_samples(embedder, make_inputs(2))
    method = load_method(name, SMALL.get(name, {}))
    alone = method(embedder, make_target(image.embedding), explained)
    assert torch.equal(alone.saliency, method(embedder, image, explained).saliency)


@pytest.mark.parametrize(
    "settings", [{"point": "1,1"}, {"matches": "2"}, {"clip": "pair"}, {"bias": "drop"}]
)
def test_activation_of_pairs_needs_an_image(settings, embedder, make_inputs):
    (explained,) = make_samples(embedder, make_inputs(1))
    with pytest.raises(SettingError, match="of two images, and words or a concept asked") as error:
        load_method("activation", settings)(embedder, make_target(explained.embedding), explained)
    assert error.value.name in settings
