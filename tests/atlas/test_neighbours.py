"""The nearest images of each, against loops over all pairs."""

from contextlib import contextmanager

import numpy as np
import pytest

from tests.atlas.test_axes import unit_vectors
from xmir_cli.atlas import neighbours
from xmir_cli.atlas.axes import principal_axes
from xmir_cli.atlas.neighbours import find_neighbours
from xmir_cli.progress import Progress


def naive(vectors, groups, k):
    """Rows and similarities of the nearest, and the mean similarity to the nearest of others."""
    wide = vectors.astype(np.float64)
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    near, means = [], []
    for row, vector in enumerate(wide):
        ranked = sorted((-float(vector @ other), at) for at, other in enumerate(wide) if at != row)
        near.append([at for _, at in ranked[:k]])
        others = [-minus for minus, at in ranked if groups[row] < 0 or groups[at] != groups[row]]
        means.append(np.mean(others[:k]) if others else np.nan)
    return near, means


def looked(vectors, groups, k):
    return find_neighbours(vectors, np.array(groups), k, principal_axes(vectors, 64), "looking")


@pytest.mark.parametrize("k", [1, 4, 100])
@pytest.mark.parametrize("way", ["exact", "graph"])
def test_neighbours_and_means_over_other_patients_equal_the_loops(k, way, monkeypatch):
    monkeypatch.setattr(neighbours, "EXACT", 1000 if way == "exact" else 10)
    vectors = unit_vectors(60, 6)
    groups = [row // 3 if row < 45 else -1 for row in range(60)]
    near, means = naive(vectors, groups, min(k, 59))
    found = looked(vectors, groups, k)
    assert found.near.rows.tolist() == near
    assert found.to_others == pytest.approx(means, abs=1e-9)
    assert found.recall == (None if way == "exact" else 1)


def test_a_graph_misses_nothing_where_other_images_are_as_near(monkeypatch):
    monkeypatch.setattr(neighbours, "EXACT", 10)
    vectors = np.repeat(unit_vectors(3, 6), 70, axis=0)
    assert looked(vectors, [-1] * len(vectors), 5).recall == 1


def test_the_recall_of_a_graph_is_the_share_of_the_nearest_that_it_finds(monkeypatch):
    monkeypatch.setattr(neighbours, "EXACT", 10)
    monkeypatch.setattr(neighbours, "_DEPTH", 4)
    monkeypatch.setattr(neighbours, "_DEEPER", 4)
    vectors = unit_vectors(300, 40)
    found = looked(vectors, [-1] * 300, 6)
    near, _ = naive(vectors, [-1] * 300, 6)
    asked = np.linspace(0, 299, 200).astype(int)
    shares = [len(set(found.near.rows[row].tolist()) & set(near[row])) / 6 for row in asked]
    assert found.recall == pytest.approx(np.mean(shares))
    assert 0 < found.recall < 1


def test_a_patient_whose_images_are_all_candidates_is_compared_with_all(monkeypatch):
    monkeypatch.setattr(neighbours, "EXACT", 10)
    monkeypatch.setattr(neighbours, "_DEPTH", 5)
    monkeypatch.setattr(neighbours, "_DEEPER", 20)
    close = unit_vectors(1, 4) + 0.001 * unit_vectors(40, 4, seed=1)
    vectors = np.concatenate([close, -unit_vectors(20, 4, seed=2)]).astype(np.float32)
    groups = [0] * 40 + list(range(1, 21))
    found = looked(vectors, groups, 3)
    assert found.to_others == pytest.approx(naive(vectors, groups, 3)[1], abs=1e-6)


def test_an_image_alone_has_nobody():
    found = looked(unit_vectors(1, 4), [-1], 5)
    assert found.near.rows.tolist() == [[-1]]
    assert found.most == 0
    assert np.isnan(found.to_others).all()


def test_one_patient_has_neighbours_and_no_others():
    found = looked(unit_vectors(3, 4), [7, 7, 7], 2)
    assert (found.near.rows >= 0).all()
    assert np.isnan(found.to_others).all()


def test_rounding_makes_no_neighbours_more_similar_than_they_can_be():
    for seed in range(20):
        found = looked(np.tile(unit_vectors(1, 7, seed), (5, 1)), [-1] * 5, 4)
        assert found.near.similarities.max() <= 1
        assert found.to_others.max() <= 1
        assert found.most == 4


@pytest.mark.parametrize("way", ["exact", "graph"])
def test_both_passes_tell_how_far_they_are(way, monkeypatch):
    monkeypatch.setattr(neighbours, "EXACT", 1000 if way == "exact" else 10)
    monkeypatch.setattr(neighbours, "_BATCH", 7)
    bars = []

    @contextmanager
    def progress(what, total):
        bars.append(Progress(what, total))
        yield bars[-1]

    monkeypatch.setattr(neighbours.console, "progress", progress)
    looked(unit_vectors(60, 6), [-1] * 60, 4)
    done = [(bar.what, bar.done) for bar in bars]
    assert done == [("building the graph", 60)] * (way == "graph") + [("looking", 60)]
