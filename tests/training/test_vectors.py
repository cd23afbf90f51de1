"""A linear head on stored vectors: its first weights, its feed, and how it joins its network."""

import numpy as np
import pytest
import torch

from xmir_cli.errors import ItemError
from xmir_cli.model.adapter import Adapter, join
from xmir_cli.model.embedder import unit
from xmir_cli.model.loader import load_embedder
from xmir_cli.training.examples import Example
from xmir_cli.training.recipe import Augmentation
from xmir_cli.training.vectors import VectorFeed, first_weights
from xmir_cli.wire.model import ModelSpec, Preprocessing

RECIPE = Preprocessing(input_size=32, resize=36)


def rows(count: int, dim: int, seed: int = 0) -> np.ndarray:
    made = np.random.default_rng(seed).normal(size=(count, dim)) ** 2
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize(("count", "dim"), [(40, 12), (9, 12)])
def test_first_weights_are_the_longest_directions(count, dim):
    vectors = rows(count, dim)
    found = first_weights(vectors, 5)
    _, _, axes = np.linalg.svd(vectors.astype(np.float64), full_matrices=False)
    assert np.abs((found * axes[:5]).sum(axis=1)) == pytest.approx(1, abs=1e-5)
    assert found.dtype == np.float32


def test_with_every_direction_first_weights_keep_every_similarity():
    vectors = rows(30, 8)
    turned = vectors @ first_weights(vectors, 8).T
    assert turned @ turned.T == pytest.approx(vectors @ vectors.T, abs=1e-6)


def test_directions_that_the_rows_do_not_have_are_random_ones():
    vectors = np.repeat(rows(2, 10), 3, axis=0)
    found = first_weights(vectors, 6)
    assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-6)
    assert np.linalg.matrix_rank(found) == 6
    assert np.array_equal(found, first_weights(vectors, 6))


@pytest.fixture
def base(tiny_arch):
    return load_embedder(ModelSpec(tiny_arch, "random:0", None, RECIPE), "cpu")


def test_a_feed_gives_rows_by_their_number(base):
    vectors = rows(6, base.dim)
    feed = VectorFeed(base, vectors, first_weights(vectors, 4))
    examples = [Example(str(row), str(row), "a") for row in (5, 2, 0)]
    (batch,) = feed.load_augmented([[(1, 0), (0, 0)]], examples, Augmentation(), (0, 1))
    assert np.array_equal(batch[:, :, 0, 0].numpy(), vectors[[2, 5]])
    plain = torch.cat(list(feed.load_plain(examples, 2)))
    assert np.array_equal(plain[:, :, 0, 0].numpy(), vectors[[5, 2, 0]])


def test_a_row_without_a_direction_is_refused_by_name(base):
    vectors = rows(3, base.dim)
    vectors[1] = 0
    vectors[2, 0] = np.nan
    feed = VectorFeed(base, vectors, first_weights(vectors[:1], 4))
    assert feed.mark("0") == feed.mark("0")
    for row in ("1", "2"):
        with pytest.raises(ItemError, match=f"row {row} is zero, NaN or infinite"):
            feed.mark(row)


@pytest.mark.parametrize("own_head", [None, 6])
def test_a_joined_network_gives_what_the_head_makes_of_vectors(tiny_arch, own_head):
    spec = ModelSpec(tiny_arch, "random:0", own_head, RECIPE)
    base = load_embedder(spec, "cpu")
    weight = torch.randn(4, base.dim, generator=torch.Generator().manual_seed(1))
    joined = join(base.network, base.spec, weight)
    images = torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        by_images = unit(joined(images))
    stored = base.embed(images).numpy()
    by_vectors = Adapter(weight, base.spec, base.spec).apply(stored)
    assert by_vectors == pytest.approx(by_images.numpy(), abs=2e-6)
    assert by_vectors == pytest.approx(  # a loop by hand
        np.stack([(w := weight.numpy() @ v) / np.linalg.norm(w) for v in stored]), abs=2e-6
    )
