import numpy as np
import pytest

from xmir_cli.gallery.folder import candidates, exact
from xmir_cli.gallery.folder.exact import Scope, rank_each, search
from xmir_cli.gallery.folder.rows import CenteredRows
from xmir_cli.gallery.vectors import products

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


@pytest.mark.parametrize("held", [1, 7, 64, 1 << 16])
@pytest.mark.parametrize("k", [1, 5, 60, 100])
def test_search_equals_a_naive_loop_whatever_the_block(monkeypatch, held, k):
    monkeypatch.setattr(exact, "_HEIGHTS", (held, held))
    vectors, queries = _unit(60), _unit(4, seed=1)
    allowed = np.random.default_rng(2).random(60) < 0.7
    excluded = [NOTHING, np.array([3]), np.arange(0, 60, 2), np.arange(60)]
    found = search(vectors, queries, k, Scope(allowed, excluded))
    for query, hits, without in zip(queries, found, excluded, strict=True):
        expected = _naive(vectors, query, k, allowed, without)
        assert hits.rows.tolist() == [index for _, index in expected]
        np.testing.assert_allclose(hits.similarities, [-value for value, _ in expected], atol=1e-15)


@pytest.mark.parametrize("threads", ["1", "3", "40"])
def test_any_number_of_threads_finds_the_same(monkeypatch, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    monkeypatch.setattr(exact, "_HEIGHTS", (3, 7))
    vectors, queries = _unit(600), _unit(9, seed=1)
    excluded = [np.arange(query, 600, 9) for query in range(9)]
    found = search(vectors, queries, 5, Scope(None, excluded))
    for query, hits, without in zip(queries, found, excluded, strict=True):
        expected = _naive(vectors, query, 5, None, set(without.tolist()))
        assert hits.rows.tolist() == [index for _, index in expected]


def test_equal_vectors_tie_and_fall_in_gallery_order(monkeypatch):
    monkeypatch.setattr(exact, "_HEIGHTS", (20, 50))
    monkeypatch.setattr(exact, "_ROWS", 9)
    vectors = np.tile(_unit(1, dim=37), (201, 1))
    hits = search(vectors, _unit(1, dim=37, seed=5), 201, _scope([0]))[0]
    assert hits.rows.tolist() == list(range(201))
    assert len(set(hits.similarities.tolist())) == 1


@pytest.mark.parametrize("k", [1, 3, 90])
def test_of_very_many_equal_vectors_no_more_are_held_than_k(monkeypatch, k):
    monkeypatch.setattr(exact, "_HEIGHTS", (10, 10))
    monkeypatch.setattr(candidates, "_MANY", 40)
    vectors = _unit(400, dim=37)
    vectors[np.random.default_rng(1).random(400) < 0.7] = vectors[0]
    queries = np.concatenate([vectors[:1], _unit(3, dim=37, seed=2), np.zeros((1, 37), np.float32)])
    held = []
    raise_floors = candidates.Candidates._raise_floors

    def watch(self):
        found = raise_floors(self)
        held.append(np.bincount(found.which, minlength=5).max(initial=0))
        return found

    monkeypatch.setattr(candidates.Candidates, "_raise_floors", watch)
    excluded = [NOTHING, NOTHING, np.array([0, 7]), NOTHING, np.array([3])]
    for query, hits, out in zip(
        queries, search(vectors, queries, k, Scope(None, excluded)), excluded, strict=True
    ):
        similarities = products(vectors, query).tolist()
        rows = [row for row in range(400) if row not in out]
        expected = sorted(rows, key=lambda row: (-similarities[row], row))[:k]
        assert hits.rows.tolist() == expected
    assert max(held) <= max(k, 40)


@pytest.mark.parametrize("threads", ["1", "3"])
def test_threads_and_classes_of_excluded_items_change_nothing(monkeypatch, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    monkeypatch.setattr(exact, "_HEIGHTS", (64, 64))
    vectors, queries = _unit(2000), _unit(40, seed=1)
    classes = [np.arange(kind, 2000, 3) for kind in range(3)]  # large ones
    excluded = [classes[row % 3] if row % 4 else np.array([row, row + 900]) for row in range(40)]
    allowed = np.random.default_rng(2).random(2000) < 0.8
    found = search(vectors, queries, 7, Scope(allowed, excluded))
    for query, hits, out in zip(queries, found, excluded, strict=True):
        similarities = products(vectors, query).tolist()
        rows = sorted({*np.flatnonzero(allowed).tolist()} - {*out.tolist()})
        expected = sorted(rows, key=lambda row: (-similarities[row], row))[:7]
        assert hits.rows.tolist() == expected


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
def test_candidates_of_many_queries_are_ranked_as_by_the_products(monkeypatch, rows):
    monkeypatch.setattr(exact, "_ROWS", rows)
    vectors, queries = _unit(40, 33), _unit(7, 33, seed=1)
    vectors[20:] = vectors[:20]  # ties
    near = np.random.default_rng(2).permuted(np.tile(np.arange(40), (7, 1)), axis=1)
    counts = [5, 0, 40, 3, 1, 2, 30]
    which = np.repeat(np.arange(7), counts)
    own_candidates = [row[:count] for row, count in zip(near, counts, strict=True)]
    found = rank_each(vectors, queries, which, np.concatenate(own_candidates), 3)
    for query, mine, hits in zip(queries, own_candidates, found, strict=True):
        own = dict(zip(mine.tolist(), products(vectors[mine], query).tolist(), strict=True))
        expected = sorted(own, key=lambda row: (-own[row], row))[:3]
        assert hits.rows.tolist() == expected
        assert hits.similarities.tolist() == [own[row] for row in expected]


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
    monkeypatch.setattr(exact, "_HEIGHTS", (1, 60))
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
