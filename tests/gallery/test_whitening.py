"""The whitening of an index, against the formula in naive loops and against scikit-learn."""

import numpy as np
import pyarrow as pa
import pytest

from xmir_cli.errors import SettingError
from xmir_cli.gallery import whitening
from xmir_cli.gallery.whitening import SHRINKAGE, WhitenedRows, fit_whitening
from xmir_cli.store.embedding_table import Embeddings
from xmir_cli.wire.model import ModelSpec

MODEL = ModelSpec("tiny", "random:0", weights_sha256="ab" * 32)


def units(count=40, dim=6, seed=0):
    """Unit vectors that vary along some directions more than along others."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, dim)) * np.geomspace(1, 0.1, dim) @ rng.normal(size=(dim, dim))
    rows += rng.normal(size=dim)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def table(vectors):
    ids = [f"{row}" for row in range(len(vectors))]
    return Embeddings(pa.table({"id": ids}), np.asarray(vectors, np.float32), MODEL)


def by_hand(vectors):
    """Mean and covariance [D, D], one number after the other."""
    rows = vectors.astype(np.float64)
    count, dim = rows.shape
    mean = [sum(rows[n, d] for n in range(count)) / count for d in range(dim)]
    covariance = np.empty((dim, dim))
    for i in range(dim):
        for j in range(dim):
            products = ((rows[n, i] - mean[i]) * (rows[n, j] - mean[j]) for n in range(count))
            covariance[i, j] = sum(products) / count
    return np.array(mean), covariance


def test_directions_are_evened_out_by_the_formula():
    vectors = units()
    fitted = fit_whitening(table(vectors), 3)
    mean, covariance = by_hand(vectors)
    assert np.allclose(fitted.whitener.mean, mean, atol=1e-6)
    matrix, total = fitted.whitener.matrix.astype(np.float64), np.trace(covariance)
    variances = np.sort(np.linalg.eigvals(covariance).real)[::-1]
    for k, row in enumerate(matrix):
        direction = row / np.linalg.norm(row)
        assert np.allclose(covariance @ direction, variances[k] * direction, atol=1e-6)
        scale = 1 / np.sqrt(variances[k] + SHRINKAGE * total)
        assert np.linalg.norm(row) == pytest.approx(scale, rel=1e-5)
        assert row[np.abs(row).argmax()] > 0
    kept = variances[:3].sum() / total
    assert fitted.told == {"dim": 6, "rows": 40, "variance": pytest.approx(kept, abs=1e-4)} | {
        "shrinkage": 0.3
    }


def test_without_shrinkage_it_is_the_whitening_of_scikit_learn(monkeypatch):
    decomposition = pytest.importorskip("sklearn.decomposition")
    monkeypatch.setattr(whitening, "SHRINKAGE", 0.0)
    vectors = units()
    fitted = fit_whitening(table(vectors), 4).whitener
    pca = decomposition.PCA(4, whiten=True).fit(vectors.astype(np.float64))
    theirs = pca.transform(vectors.astype(np.float64))
    ours = (vectors.astype(np.float64) - fitted.mean) @ fitted.matrix.T
    theirs *= np.sign((ours * theirs).sum(axis=0)) * np.sqrt(40 / 39)  # they divide by N - 1
    assert np.allclose(ours, theirs, atol=1e-4)
    assert np.allclose(ours.T @ ours / 40, np.eye(4), atol=1e-4)


def test_whitened_rows_have_length_1_and_their_products_are_those_of_the_formula():
    vectors = units()
    fitted = fit_whitening(table(vectors), 5)
    (block,) = WhitenedRows(table(vectors), fitted.whitener).blocks(100)
    mean, matrix = fitted.whitener.mean, fitted.whitener.matrix
    for row, vector in zip(block.vectors, vectors, strict=True):
        expected = [
            sum(matrix[k, d] * (float(vector[d]) - mean[d]) for d in range(6)) for k in range(5)
        ]
        assert np.allclose(row, expected / np.linalg.norm(expected), atol=1e-5)


def test_neither_blocks_nor_runs_change_a_bit(monkeypatch):
    vectors = units(300, 20)
    first = fit_whitening(table(vectors), 8).whitener.packed()
    assert fit_whitening(table(vectors), 8).whitener.packed().tobytes() == first.tobytes()
    monkeypatch.setattr(whitening, "_ROWS", 37)
    assert np.allclose(fit_whitening(table(vectors), 8).whitener.packed(), first, atol=1e-5)


def test_of_very_many_rows_some_are_taken_evenly_spread(monkeypatch):
    vectors = units(100, 6)
    monkeypatch.setattr(whitening, "_MOST", 40)
    monkeypatch.setattr(whitening, "_ROWS", 7)
    found = fit_whitening(table(vectors), 2)
    expected = fit_whitening(table(vectors[::3]), 2)
    assert (found.rows, len(vectors[::3])) == (34, 34)
    assert np.allclose(found.whitener.packed(), expected.whitener.packed(), atol=1e-5)


@pytest.mark.parametrize(
    ("vectors", "dim", "reason"),
    [
        (units(), 7, "the vectors have 6 numbers"),
        (units(4), 4, "expected fewer than there are images, 4"),
        (np.ones((5, 6)) / np.sqrt(6), 2, "all vectors are the same"),
    ],
)
def test_what_cannot_be_whitened_is_refused(vectors, dim, reason):
    with pytest.raises(SettingError, match=reason):
        fit_whitening(table(vectors), dim)


def test_the_mean_itself_leaves_nothing():
    fitted = fit_whitening(table(units()), 3).whitener
    assert fitted.whiten(fitted.mean[None]).tolist() == [[0.0] * 3]
