import numpy as np
import pytest

from xmir_cli.gallery.folder import exact
from xmir_cli.gallery.folder.exact import CenteredRows, Scope, rank, rank_each, search

NOTHING = np.empty(0, dtype=np.int64)


def _unit(count, dim=16, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _scope(queries, allowed=None, excluded=None):
    return Scope(allowed, excluded or [NOTHING] * len(queries))


def _naive(vectors, query, k, allowed, excluded):
    pairs = [
        (-sum(float(a) * float(b) for a, b in zip(vector, query, strict=True)), index)
        for index, vector in enumerate(vectors)
        if (allowed is None or allowed[index]) and index not in excluded
    ]
    return sorted(pairs)[:k]


@pytest.mark.parametrize("held", [1, 7, 64, 1 << 22])
@pytest.mark.parametrize("k", [1, 5, 60, 100])
def test_search_equals_a_naive_loop_whatever_the_block(monkeypatch, held, k):
    monkeypatch.setattr(exact, "_SIMILARITIES", held)
    vectors, queries = _unit(60), _unit(4, seed=1)
    allowed = np.random.default_rng(2).random(60) < 0.7
    excluded = [NOTHING, np.array([3]), np.arange(0, 60, 2), np.arange(60)]
    found = search(vectors, queries, k, Scope(allowed, excluded))
    for query, hits, without in zip(queries, found, excluded, strict=True):
        expected = _naive(vectors, query, k, allowed, without)
        assert hits.rows.tolist() == [index for _, index in expected]
        np.testing.assert_allclose(hits.similarities, [-value for value, _ in expected], atol=1e-15)


def test_equal_vectors_tie_and_fall_in_gallery_order(monkeypatch):
    monkeypatch.setattr(exact, "_SIMILARITIES", 50)
    monkeypatch.setattr(exact, "_ROWS", 9)
    vectors = np.tile(_unit(1, dim=37), (201, 1))
    hits = search(vectors, _unit(1, dim=37, seed=5), 201, _scope([0]))[0]
    assert hits.rows.tolist() == list(range(201))
    assert len(set(hits.similarities.tolist())) == 1


def test_similarities_too_close_for_float32_are_still_ordered():
    # 1 - 1e-8 and 1 - 2e-8 are the same float32; the nearer one comes last in the gallery
    near = np.array([[1, 2e-4], [1, 1e-4], [1, 0.5e-4]], dtype=np.float32)
    hits = search(near, np.array([[1, 1e-5]], dtype=np.float32), 3, _scope([0]))[0]
    order = np.argsort(-(near.astype(float) @ np.array([1, np.float32(1e-5)], dtype=float)))
    assert hits.rows.tolist() == order.tolist()


def test_a_batch_gives_what_single_queries_give():
    vectors, queries = _unit(100), _unit(8, seed=3)
    batch = search(vectors, queries, 5, _scope(queries))
    for query, hits in zip(queries, batch, strict=True):
        alone = search(vectors, query[None], 5, _scope([0]))[0]
        np.testing.assert_array_equal(hits.rows, alone.rows)
        np.testing.assert_array_equal(hits.similarities, alone.similarities)


@pytest.mark.parametrize("rows", [1, 5, 12, 4096])
def test_ranking_together_equals_ranking_one_by_one(monkeypatch, rows):
    monkeypatch.setattr(exact, "_ROWS", rows)
    vectors, queries = _unit(40, 33), _unit(7, 33, seed=1)
    vectors[20:] = vectors[:20]  # ties
    near = np.random.default_rng(2).permuted(np.tile(np.arange(40), (7, 1)), axis=1)[:, :5]
    near[:, 0] = (near[:, 1] + 20) % 40
    for together, query, mine in zip(
        rank_each(vectors, queries, near, 3), queries, near, strict=True
    ):
        alone = rank(vectors, query, mine, 3)
        assert (together.rows == alone.rows).all()
        assert (together.similarities == alone.similarities).all()


def test_a_zero_query_is_equally_far_from_everything():
    hits = search(_unit(5), np.zeros((1, 16), dtype=np.float32), 3, _scope([0]))[0]
    assert hits.rows.tolist() == [0, 1, 2]
    assert hits.similarities.tolist() == [0, 0, 0]


def test_the_gallery_may_be_a_memory_map(tmp_path):
    vectors = _unit(30)
    np.save(tmp_path / "v.npy", vectors)
    mapped = np.load(tmp_path / "v.npy", mmap_mode="r")
    queries = _unit(2, seed=9)
    for a, b in zip(
        search(mapped, queries, 4, _scope(queries)),
        search(vectors, queries, 4, _scope(queries)),
        strict=True,
    ):
        np.testing.assert_array_equal(a.rows, b.rows)


def test_centred_rows_are_never_held_all_at_once(monkeypatch):
    monkeypatch.setattr(exact, "_ROWS", 7)
    vectors, queries = _unit(60), _unit(4, seed=1)
    mean = vectors.mean(axis=0)
    left = (vectors.astype(np.float64) - mean).astype(np.float32)
    left /= np.linalg.norm(left, axis=1, keepdims=True)
    asked = []

    class Watched(CenteredRows):
        def __getitem__(self, rows):
            found = super().__getitem__(rows)
            asked.append(len(found))
            return found

    found = search(Watched(vectors, mean), queries, 5, _scope(queries))
    for query, hits in zip(queries, found, strict=True):
        expected = [index for _, index in _naive(left, query, 5, None, [])]
        assert hits.rows.tolist() == expected
    assert max(asked) == 7
