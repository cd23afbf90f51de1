import os
import sys
from pathlib import Path

import numpy as np
import pytest

from xmir_cli.errors import DataError
from xmir_cli.gallery.folder import hnsw
from xmir_cli.gallery.folder.exact import Scope, search
from xmir_cli.gallery.folder.hnsw import Graph, build_graph, load_graph, measure_recall, save_graph
from xmir_cli.gallery.folder.manifest import GraphSettings

SETTINGS = GraphSettings()
NOTHING = np.empty(0, dtype=np.int64)


@pytest.fixture(scope="module")
def vectors():
    rows = np.random.default_rng(0).normal(size=(500, 16)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def graph(vectors):
    return build_graph(vectors, SETTINGS)


def test_the_graph_finds_nearly_all_that_exact_search_finds(vectors, graph):
    truth = search(vectors, vectors, 10, Scope(None, [NOTHING] * 500))
    found = graph.search(vectors, vectors, 10)
    shares = [
        len(set(a.rows.tolist()) & set(b.rows.tolist())) / 10
        for a, b in zip(truth, found, strict=True)
    ]
    assert np.mean(shares) > 0.99
    assert measure_recall(graph, vectors) > 0.99


def test_similarities_are_those_of_exact_search(vectors, graph):
    hits = graph.search(vectors, vectors[:1], 5)[0]
    exact = search(vectors, vectors[:1], 5, Scope(None, [NOTHING]))[0]
    assert hits.rows.tolist() == exact.rows.tolist()
    assert hits.similarities.tolist() == exact.similarities.tolist()


def test_more_than_the_graph_can_reach_is_answered_exactly(vectors, graph):
    assert len(graph.search(vectors, vectors[:2], 501)[0].rows) == 500


def test_a_query_that_reaches_too_few_changes_no_hit_of_the_others():
    rows = np.random.default_rng(0).normal(size=(400, 4)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    poor = build_graph(rows, GraphSettings(m=2, ef_construction=1, ef=1))
    exact = search(rows, rows[:100], 60, Scope(None, [NOTHING] * 100))
    together = poor.search(rows, rows[:100], 60)
    same = [a.rows.tolist() == b.rows.tolist() for a, b in zip(together, exact, strict=True)]
    assert 20 < sum(same) < 90  # some reach too few and are answered exactly, others miss some
    for query, found in zip(rows[:100], together, strict=True):
        (alone,) = poor.search(rows, query[None], 60)
        assert alone.rows.tolist() == found.rows.tolist()
    assert measure_recall(poor, rows) < 1


def test_a_saved_graph_answers_the_same(tmp_path, vectors, graph):
    save_graph(graph, tmp_path / "graph.hnsw")
    loaded = load_graph(tmp_path / "graph.hnsw", 500, 16, SETTINGS)
    for a, b in zip(
        loaded.search(vectors, vectors[:9], 5), graph.search(vectors, vectors[:9], 5), strict=True
    ):
        assert a.rows.tolist() == b.rows.tolist()


def test_the_same_vectors_give_the_same_bytes(tmp_path, vectors):
    for name in ("a", "b"):
        save_graph(build_graph(vectors, SETTINGS), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_how_many_are_added_is_told_and_changes_nothing(tmp_path, vectors, monkeypatch):
    told: list[float] = []
    monkeypatch.setattr("xmir_cli.progress.Progress.advance", lambda _, count: told.append(count))
    save_graph(build_graph(vectors, SETTINGS), tmp_path / "one")
    assert sum(told) == len(vectors)
    assert len(told) > 2
    monkeypatch.setattr(hnsw, "_AT_ONCE", len(vectors))
    save_graph(build_graph(vectors, SETTINGS), tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_folder_names_that_are_not_utf8_are_no_trouble(tmp_path, graph):
    folder = tmp_path / os.fsdecode(b"\xff\n\x1b")
    folder.mkdir()
    save_graph(graph, folder / "graph.hnsw")
    assert load_graph(folder / "graph.hnsw", 500, 16, SETTINGS).index.get_current_count() == 500


def test_a_write_that_is_cut_short_is_an_error(tmp_path):
    class Cut:
        def index_file_size(self):
            return 100

        def save_index(self, path):
            Path(path).write_bytes(b"x" * 40)

    with pytest.raises(DataError, match="expected 100 bytes, found 40"):
        save_graph(Graph(Cut(), SETTINGS), tmp_path / "graph.hnsw")


@pytest.mark.skipif(sys.platform != "linux", reason="posix_fallocate")
def test_a_disk_without_room_is_an_error_before_anything_is_written(tmp_path):
    class Huge:
        def index_file_size(self):
            return 1 << 60

    with pytest.raises(OSError, match=r"large|space"):
        save_graph(Graph(Huge(), SETTINGS), tmp_path / "graph.hnsw")


def test_a_graph_of_another_size_is_refused(tmp_path, graph):
    save_graph(graph, tmp_path / "graph.hnsw")
    with pytest.raises(DataError, match="expected 499 items, found 500"):
        load_graph(tmp_path / "graph.hnsw", 499, 16, SETTINGS)


def test_recall_of_a_graph_that_finds_nothing_near_is_low(vectors):
    poor = GraphSettings(m=2, ef_construction=2, ef=1)
    assert measure_recall(build_graph(vectors, poor), vectors) < 0.9


def test_equally_near_items_count_as_found():
    same = np.tile(np.array([[1, 0]], dtype=np.float32), (40, 1))
    assert measure_recall(build_graph(same, SETTINGS), same) == 1
    assert hnsw.RECALL_AT == 10


def test_what_is_no_graph_is_refused(tmp_path):
    (tmp_path / "graph.hnsw").write_bytes(b"no graph" * 20)
    with pytest.raises(DataError, match="not a graph of hnswlib"):
        load_graph(tmp_path / "graph.hnsw", 500, 16, SETTINGS)


def _copies(distinct, times, seed=0):
    """Each of `distinct` vectors `times` times, far from its copies in the order."""
    rows = np.random.default_rng(seed).normal(size=(distinct, 16)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return np.tile(rows, (times, 1))


@pytest.mark.parametrize(("distinct", "times"), [(200, 3), (20, 30), (6, 100), (3, 300)])
@pytest.mark.parametrize("k", [1, 2, 5, 10])
def test_of_equally_near_items_the_graph_finds_those_that_exact_search_finds(distinct, times, k):
    vectors = _copies(distinct, times)
    graph = build_graph(vectors, SETTINGS)
    truth = search(vectors, vectors, k, Scope(None, [NOTHING] * len(vectors)))
    together = graph.search(vectors, vectors, k)
    for query, (hits, exact) in enumerate(zip(together, truth, strict=True)):
        assert hits.rows.tolist() == exact.rows.tolist()
        assert hits.similarities.tobytes() == exact.similarities.tobytes()
        if query % 50 == 0:
            alone = graph.search(vectors, vectors[query : query + 1], k)[0]
            assert alone.rows.tolist() == hits.rows.tolist()
    assert measure_recall(graph, vectors) == 1


def test_as_near_as_float32_can_tell_is_as_near(vectors):
    # the 21 nearest differ by less than a float32 product does from itself in another order
    query = vectors[0]
    near = query + np.outer(np.arange(21)[::-1], np.eye(16, dtype=np.float32)[3]) * 1e-8
    crowded = np.concatenate([vectors[1:], near.astype(np.float32)])
    graph = build_graph(crowded, GraphSettings(ef=10))
    exact = search(crowded, query[None], 5, Scope(None, [NOTHING]))[0]
    assert graph.search(crowded, query[None], 5)[0].rows.tolist() == exact.rows.tolist()


def test_a_graph_that_misses_some_still_says_how_many(vectors):
    poor = build_graph(vectors, GraphSettings(m=2, ef_construction=2, ef=1))
    assert measure_recall(poor, vectors) < 0.95
