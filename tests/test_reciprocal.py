"""k-reciprocal re-ranking against a naive loop over the paper's formulas."""

import numpy as np
import pytest

from xmir_cli import reciprocal
from xmir_cli.reciprocal import new_order, reciprocal_distances


def naive(cosines: np.ndarray, k1: int = 20, k2: int = 6, share: float = 0.3) -> np.ndarray:
    """The distances of items 1 to N to item 0, as the authors' code has them, by loops."""
    n = len(cosines)
    apart = np.maximum(1 - cosines, 0)
    scaled = apart / apart.max(axis=1, keepdims=True)
    near = [sorted(range(n), key=lambda j, i=i: (j != i, apart[i, j], j)) for i in range(n)]

    def reciprocal_of(i: int, k: int) -> set[int]:
        return {j for j in near[i][: k + 1] if i in near[j][: k + 1]}

    encoded = np.zeros((n, n))
    for i in range(n):
        first = reciprocal_of(i, k1)
        members = set(first)
        for candidate in first:
            other = reciprocal_of(candidate, round(k1 / 2))
            if len(other & first) > 2 / 3 * len(other):
                members |= other
        for j in members:
            encoded[i, j] = np.exp(-scaled[i, j])
        encoded[i] /= encoded[i].sum()
    local = np.stack([np.mean([encoded[j] for j in near[i][:k2]], axis=0) for i in range(n)])
    found = []
    for i in range(1, n):
        least = sum(min(local[0, m], local[i, m]) for m in range(n))
        most = sum(max(local[0, m], local[i, m]) for m in range(n))
        found.append((1 - share) * (1 - least / most) + share * scaled[0, i])
    return np.array(found)


def case(count: int, dim: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Similarities of hits to a query, best first, to each other, and of all."""
    vectors = np.random.default_rng(seed).normal(size=(count, dim)) + 0.5
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    order = np.argsort(-(vectors[1:] @ vectors[0])) + 1
    whole = vectors[[0, *order]]
    cosines = whole @ whole.T
    return cosines[0, 1:], cosines[1:, 1:], cosines


@pytest.mark.parametrize(("count", "dim", "seed"), [(60, 6, 0), (33, 3, 1), (8, 4, 2), (2, 4, 3)])
def test_distances_are_those_of_the_paper(count, dim, seed):
    similarities, among, cosines = case(count, dim, seed)
    found = reciprocal_distances(similarities, among)
    assert found == pytest.approx(naive(cosines), abs=1e-8)
    assert ((found >= 0) & (found <= 1)).all()


@pytest.mark.parametrize(("k1", "k2", "share"), [(5, 1, 0.0), (7, 3, 0.5), (10, 2, 1.0)])
def test_with_other_settings_too(k1, k2, share, monkeypatch):
    similarities, among, cosines = case(40, 5, 4)
    for name, value in (("K1", k1), ("K2", k2), ("SHARE", share)):
        monkeypatch.setattr(reciprocal, name, value)
    assert reciprocal_distances(similarities, among) == pytest.approx(
        naive(cosines, k1, k2, share), abs=1e-8
    )


def test_equally_distant_hits_keep_their_order(monkeypatch):
    even = np.array([0.5, 0.2, 0.5 + 1e-13, 0.2 - 1e-13, 0.1])
    monkeypatch.setattr(reciprocal, "reciprocal_distances", lambda *_: even)
    places, _ = new_order(np.ones(5), np.ones((5, 5)))
    assert places.tolist() == [4, 1, 3, 0, 2]


def test_a_hit_among_the_querys_neighbours_overtakes_a_nearer_stranger():
    # the query's group lies about 0, a stranger at an angle has a group of its own
    angles = [0.0, -0.15, -0.1, -0.05, 0.05, 0.3, *np.linspace(0.32, 0.6, 30)]
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    vectors = np.vstack([vectors, [np.cos(-0.32), np.sin(-0.32)]])
    order = np.argsort(-(vectors[1:] @ vectors[0]), kind="stable") + 1
    whole = vectors[[0, *order]]
    cosines = whole @ whole.T
    before = order.tolist()
    places, _ = new_order(cosines[0, 1:], cosines[1:, 1:])
    after = [before[place] for place in places]
    assert before.index(36) > before.index(5)
    assert after.index(36) < after.index(5)


def test_nothing_is_put_in_no_order():
    places, distances = new_order(np.empty(0), np.empty((0, 0)))
    assert len(places) == len(distances) == 0
