"""Graph, eigenvalues and groups, against naive loops and scikit-learn."""

import math

import numpy as np
import pytest

from xmir_cli.clusters.grouping import GroupingRules, group_vectors
from xmir_cli.clusters.spectral import (
    count_groups,
    default_neighbors,
    find_spectrum,
    neighbor_graph,
    split,
)

pytest.importorskip("sklearn")


def blobs(*sizes, dim=5, seed=0, apart=20.0):
    """Points around corners that lie far apart."""
    generator = np.random.default_rng(seed)
    middles = apart * np.eye(dim)
    return np.concatenate(
        [middles[place] + generator.normal(size=(size, dim)) for place, size in enumerate(sizes)]
    )


def naive_graph(vectors, neighbors):
    count = len(vectors)
    near = np.zeros((count, count))
    for one in range(count):
        others = [each for each in range(count) if each != one]
        far = {each: math.dist(vectors[one], vectors[each]) for each in others}
        last = sorted(far.values())[neighbors - 1]
        for other in others:
            near[one, other] = far[other] <= last + 1e-9
    return (near + near.T) / 2


def test_the_graph_is_that_of_a_naive_loop_and_of_scikit_learn():
    from sklearn.neighbors import kneighbors_graph

    vectors = blobs(12, 9)
    affinity = neighbor_graph(vectors, 4)
    assert (affinity == naive_graph(vectors, 4)).all()
    theirs = kneighbors_graph(vectors, 4).toarray()
    assert (affinity == (theirs + theirs.T) / 2).all()


def test_equal_vectors_are_neighbours_of_all_of_them():
    vectors = np.repeat(np.eye(3)[:2], 6, axis=0)
    assert (neighbor_graph(vectors, 2) == np.kron(np.eye(2), np.ones((6, 6))) - np.eye(12)).all()
    assert group_vectors(vectors, GroupingRules()).groups.tolist() == [0] * 6 + [1] * 6
    alike = group_vectors(np.ones((9, 4)), GroupingRules())
    assert (alike.count, alike.distances.tolist()) == (1, [0.0] * 9)


def test_the_spectrum_is_that_of_the_normalised_laplacian():
    affinity = naive_graph(blobs(15, 15, apart=3.0), 5)
    degrees = affinity.sum(1)
    laplacian = np.eye(30) - affinity / np.sqrt(np.outer(degrees, degrees))
    values = np.linalg.eigvalsh(laplacian)
    found = find_spectrum(affinity.copy(), 6)
    assert found.values == pytest.approx(values[:6], abs=1e-9)
    for value, vector in zip(found.values, found.vectors.T, strict=True):
        assert laplacian @ vector == pytest.approx(value * vector, abs=1e-9)
        assert vector[np.abs(vector).argmax()] > 0


@pytest.mark.parametrize("sizes", [(30,), (25, 20), (20, 12, 30), (15, 15, 15, 15)])
@pytest.mark.parametrize("seed", range(5))
def test_planted_groups_come_apart_as_those_of_scikit_learn(sizes, seed):
    from sklearn.cluster import SpectralClustering
    from sklearn.metrics import adjusted_rand_score

    vectors = blobs(*sizes, seed=seed)
    planted = np.repeat(np.arange(len(sizes)), sizes)
    found = group_vectors(vectors, GroupingRules())
    assert found.count == len(sizes)
    assert adjusted_rand_score(planted, found.groups) == 1
    affinity = neighbor_graph(vectors, found.neighbors)
    if found.count > 1:
        affinity += 1e-6  # for it warns of a graph in parts
        theirs = SpectralClustering(found.count, affinity="precomputed", random_state=0)
        assert adjusted_rand_score(theirs.fit_predict(affinity), found.groups) == 1


def test_groups_that_touch_are_those_of_scikit_learn():
    from sklearn.cluster import SpectralClustering
    from sklearn.metrics import adjusted_rand_score

    vectors = blobs(40, 30, 20, apart=3.0)
    affinity = neighbor_graph(vectors, 8) + 1e-6
    theirs = SpectralClustering(3, affinity="precomputed", random_state=0).fit_predict(affinity)
    ours = split(find_spectrum(affinity, 4), 3, 0)
    assert adjusted_rand_score(theirs, ours) > 0.95


@pytest.mark.parametrize(
    ("values", "count"),
    [
        ([0, 0.6, 0.7, 0.8], 1),
        ([0, 0, 0.5, 0.6], 2),
        ([0, 1e-17, 0.5, 0.6], 2),
        ([0, 0.01, 0.03, 0.7, 0.8], 3),
        ([0, 0.01, 0.04, 0.09, 0.16, 0.25], 1),  # gaps grow, and none counts: a line
        ([0, 0.1, 0.49, 0.6], 1),  # less than five times
        ([0, 0, 0, 0], 1),
        ([0], 1),
    ],
)
def test_the_widest_gap_that_counts_tells_how_many_groups_there_are(values, count):
    assert count_groups(np.array(values, float)) == count


def test_vectors_that_change_gradually_are_one_group():
    line = np.linspace(0, 1, 60)[:, None] * np.ones(3)
    assert group_vectors(line, GroupingRules()).count == 1
    plane = np.random.default_rng(0).random((80, 2))
    assert group_vectors(plane, GroupingRules()).count == 1


def test_one_group_is_rarely_taken_for_several():
    wrong = sum(
        group_vectors(np.random.default_rng(seed).normal(size=(40, 8)), GroupingRules()).count > 1
        for seed in range(20)
    )
    assert wrong == 0


def test_groups_are_numbered_by_size_whatever_the_order_and_the_seed():
    vectors = blobs(10, 25, 15)
    planted = np.repeat([2, 0, 1], (10, 25, 15))
    order = np.random.default_rng(3).permutation(50)
    for seed in range(3):
        found = group_vectors(vectors[order], GroupingRules(seed=seed))
        assert found.groups.tolist() == planted[order].tolist()


def test_members_come_nearest_to_the_middle_first_and_exemplars_once_an_image():
    vectors = np.array([[0.0], [1.0], [2.0], [9.0]])
    found = group_vectors(vectors, GroupingRules())
    assert found.distances == pytest.approx([3, 2, 1, 6])
    assert found.members(0).tolist() == [2, 1, 0, 3]
    assert found.exemplars(0, ["a", "b", "b", "c"], 2) == [2, 0]


@pytest.mark.parametrize(("count", "expected"), [(1, 1), (2, 1), (8, 3), (12, 5), (100, 9)])
def test_neighbours_grow_with_the_logarithm(count, expected):
    assert default_neighbors(count) == expected


def test_as_many_groups_as_are_asked_for_or_as_there_are_different_vectors():
    vectors = blobs(12, 12)
    assert group_vectors(vectors, GroupingRules(groups=3)).count == 3
    assert group_vectors(vectors[:1], GroupingRules(groups=1)).count == 1
    assert group_vectors(np.ones((6, 2)), GroupingRules(groups=2)).count <= 2
