"""The target of an explanation is an embedding: an image's, or one that no image stands behind."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from xmir_cli.errors import ModelError, SettingError
from xmir_cli.labels import LabelSets
from xmir_cli.model.embedder import unit
from xmir_cli.model.loader import load_embedder
from xmir_cli.saliency import load_method, method_names
from xmir_cli.saliency.sample import LabelledGallery, make_samples, make_target
from xmir_cli.wire.model import ModelSpec, Preprocessing

TOKENS = Path(__file__).parents[1] / "networks" / "tokens.py"

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


def networks(embedder):
    """A convolutional network, a class token, and a network that goes on after pooling."""
    yield embedder
    for name in ("class_token", "after_pooling"):
        spec = ModelSpec(f"{TOKENS}:{name}", "random:3", None, Preprocessing(32, 32))
        yield load_embedder(spec, "cpu")


def test_the_places_of_a_direction_add_up_to_how_far_along_it_an_image_lies(embedder, make_inputs):
    for network in networks(embedder):
        (explained,) = make_samples(network, make_inputs(1))
        generator = torch.Generator().manual_seed(0)
        direction = unit(torch.randn(len(explained.embedding), generator=generator))
        along = float(network.embed(explained.input[None])[0].double() @ direction.double())
        found = load_method("activation", {})(network, make_target(direction), explained)
        told = found.details
        whole = told.get("places", along) + told.get("prefix", 0) + told.get("rest", 0)
        assert whole + told["residual"] == pytest.approx(along, abs=1e-6)
        assert abs(told["residual"]) < 1e-5
        opposite = load_method("activation", {})(network, make_target(-direction), explained)
        assert opposite.saliency.numpy() == pytest.approx(-found.saliency.numpy(), abs=1e-6)


def test_a_window_counts_as_much_as_hiding_it_moves_the_image_along_a_direction(
    embedder, make_inputs
):
    settings = {"window_size": "8", "stride": "8", "distance": "cosine", "clip_windows": "false"}
    for network in networks(embedder):
        (explained,) = make_samples(network, make_inputs(1))
        generator = torch.Generator().manual_seed(1)
        direction = unit(torch.randn(len(explained.embedding), generator=generator))
        found = load_method("occlusion", settings)(network, make_target(direction), explained)
        along = float(network.embed(explained.input[None])[0] @ direction)
        for top, left in itertools.product(range(0, 32, 8), repeat=2):
            hidden = explained.input.clone()
            hidden[:, top : top + 8, left : left + 8] = 0
            moved = along - float(network.embed(hidden[None])[0] @ direction)
            window = found.saliency[top : top + 8, left : left + 8]
            assert window.numpy() == pytest.approx(np.full((8, 8), moved), abs=1e-5)


@pytest.mark.parametrize(
    "settings", [{"point": "1,1"}, {"matches": "2"}, {"clip": "pair"}, {"bias": "drop"}]
)
def test_activation_of_pairs_needs_an_image(settings, embedder, make_inputs):
    (explained,) = make_samples(embedder, make_inputs(1))
    with pytest.raises(SettingError, match="of two images, and words or a concept asked") as error:
        load_method("activation", settings)(embedder, make_target(explained.embedding), explained)
    assert error.value.name in settings
