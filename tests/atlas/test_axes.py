"""Principal axes against NumPy's SVD and scikit-learn."""

import numpy as np
import pytest

from xmir_cli.atlas import points
from xmir_cli.atlas.axes import principal_axes, project


def unit_vectors(count, dim, seed=0):
    rows = np.random.default_rng(seed).normal(size=(count, dim)) + 1
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("shape", [(50, 7), (5, 12), (300, 2)])
def test_axes_are_the_singular_vectors_of_centred_rows(shape, monkeypatch):
    monkeypatch.setattr(points, "ROWS", 16)
    vectors = unit_vectors(*shape)
    axes = principal_axes(vectors, 3)
    centred = vectors.astype(np.float64) - vectors.astype(np.float64).mean(axis=0)
    _, sizes, right = np.linalg.svd(centred, full_matrices=False)
    count = min(3, shape[1])
    shares = sizes**2 / (sizes**2).sum()
    assert axes.shares[: len(shares)] == pytest.approx(shares[:count], abs=1e-9)
    for own, other in zip(axes.directions, right, strict=False):
        assert abs(own @ other) == pytest.approx(1, abs=1e-6)
        assert own[np.argmax(np.abs(own))] > 0


def test_places_are_those_of_scikit_learn():
    decomposition = pytest.importorskip("sklearn.decomposition")
    vectors = unit_vectors(80, 9)
    axes = principal_axes(vectors, 2)
    theirs = decomposition.PCA(2, svd_solver="full").fit(vectors.astype(np.float64))
    assert project(vectors, axes) == pytest.approx(theirs.transform(vectors), abs=1e-6)
    assert axes.shares == pytest.approx(theirs.explained_variance_ratio_)


def test_equal_vectors_lie_in_one_place_without_a_share():
    axes = principal_axes(np.tile(unit_vectors(1, 4), (3, 1)), 2)
    assert axes.shares.tolist() == [0, 0]
    assert np.abs(project(np.tile(unit_vectors(1, 4), (3, 1)), axes)).max() < 1e-6
