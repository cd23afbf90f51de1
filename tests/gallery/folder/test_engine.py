import errno
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from xmir_cli.errors import DataError
from xmir_cli.gallery.folder import manifest
from xmir_cli.gallery.folder.build import build_gallery, write_gallery
from xmir_cli.gallery.folder.engine import open_gallery
from xmir_cli.gallery.folder.manifest import GraphSettings, describe
from xmir_cli.gallery.protocol import Build, Conditions
from xmir_cli.retrieval.queries import Question
from xmir_cli.store.embeddings import Embeddings
from xmir_cli.store.where import Condition
from xmir_cli.wire.model import ModelSpec

MODEL = ModelSpec("tiny", "random:0", weights_sha256="ab" * 32)
COLUMNS = {"id": [str(row) for row in range(50)], "split": [None] * 50}


@pytest.fixture
def embeddings():
    vectors = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Embeddings(
        pa.table({name: pa.array(values, pa.string()) for name, values in COLUMNS.items()}),
        vectors,
        MODEL,
    )


def _forge(folder, **changes):
    """A manifest that fits the files as they are now, but for the changes."""
    data = json.loads((folder / "manifest.json").read_text())
    data.pop("checksum")
    for name in data["files"]:
        size, sha256 = describe(folder / name)
        data["files"][name] = {"bytes": size, "sha256": sha256}
    data = data | changes
    data["checksum"] = manifest._checksum(data)
    (folder / "manifest.json").write_text(json.dumps(data))


def test_search_is_exact_unless_a_graph_is_asked_for(embeddings):
    assert build_gallery(embeddings, Path("a.xmir"), None, GraphSettings()).kind == "exact"


@pytest.mark.parametrize(("alone", "threads"), [(51, 1), (50, 3)])
def test_a_large_graph_is_built_by_the_threads_that_were_asked_for(
    embeddings, monkeypatch, alone, threads
):
    from xmir_cli.gallery.folder import hnsw

    used, inner = [], hnsw.build_graph

    def watch(vectors, settings, count):
        used.append(count)
        return inner(vectors, settings, count)

    monkeypatch.setattr(hnsw, "build_graph", watch)
    monkeypatch.setattr("xmir_cli.gallery.folder.build._ALONE", alone)
    built = write_gallery(embeddings, Path("a.xmir"), Build("hnsw", threads=3))
    assert used == [built.threads] == [threads]
    assert built.recall_at_10 == 1.0
    assert open_gallery("a.xmir").manifest == built
    exact_one = write_gallery(embeddings, Path("b.xmir"), Build("exact", threads=3))
    assert exact_one.threads == 1
    assert "threads" not in json.loads(Path("b.xmir/manifest.json").read_text())


def test_every_item_is_in_a_graph_of_several_threads():
    from xmir_cli.gallery.folder.hnsw import build_graph, load_graph, save_graph

    vectors = np.random.default_rng(0).normal(size=(3000, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    save_graph(build_graph(vectors, GraphSettings(), 4), Path("g.hnsw"))
    graph = load_graph(Path("g.hnsw"), 3000, 8, GraphSettings())  # looked through
    found = graph.search(vectors, vectors, 1)
    assert np.mean([near.rows[0] == row for row, near in enumerate(found)]) > 0.99


def test_an_opened_gallery_is_what_was_built(embeddings):
    for kind in ("exact", "hnsw"):
        built = build_gallery(embeddings, Path("a.xmir"), kind, GraphSettings(m=8))
        gallery = open_gallery("a.xmir")
        assert gallery.manifest == built
        assert isinstance(gallery.vectors, np.memmap)
        np.testing.assert_array_equal(gallery.vectors, embeddings.vectors)
        assert gallery.items.table().equals(embeddings.items)


@pytest.fixture
def looked(embeddings, monkeypatch):
    """A gallery of 50 with a graph, and how many candidates that looked at for how many queries."""
    monkeypatch.setattr("xmir_cli.gallery.folder.nearest.GRAPH_FROM", 50 * 8)
    monkeypatch.setattr("xmir_cli.gallery.folder.nearest.ROWS_A_CANDIDATE", 1.5)
    build_gallery(embeddings, Path("a.xmir"), "hnsw", GraphSettings(ef=4))
    gallery = open_gallery("a.xmir")
    used = []
    look = type(gallery.graph)._look

    def watch(self, vectors, queries, k, scope, depth):
        used.append((len(queries), depth))
        return look(self, vectors, queries, k, scope, depth)

    monkeypatch.setattr(type(gallery.graph), "_look", watch)
    return gallery, used


def test_a_graph_is_used_where_it_looks_at_few_enough(embeddings, monkeypatch, looked):
    gallery, used = looked
    query = [Question("q", embeddings.vectors[0], {"id": "3"})]
    few = Conditions(where=(Condition("id", "=", "7"),))
    gallery.search(query, 25)
    gallery.search(query, 5, Conditions(where=(Condition("split", "=", ""),)))  # all have none
    gallery.search(query, 5, Conditions(not_same=("id",)))  # 5 + 1, twice: 12, so 16
    gallery.search(query * 3, 5, Conditions(without=frozenset(range(10))))  # 10 * 50 / 40: 12
    assert used == [(1, 50), (1, 10), (1, 16), (3, 16)]
    gallery.search(query, 26)
    gallery.search(query, 5, few)
    gallery.search(query, 5, centered=True)
    gallery.search(query, 16, Conditions(not_same=("id",)))  # 64 candidates are too many
    monkeypatch.setattr("xmir_cli.gallery.folder.nearest.GRAPH_FROM", 50 * 8 + 1)
    gallery.search(query, 5)
    assert len(used) == 4


def test_too_few_of_the_candidates_are_not_handed_out(embeddings, looked):
    # of the 30 that may be found none is among the 16 nearest of this query
    gallery, used = looked
    vectors, query = embeddings.vectors, [Question("q", embeddings.vectors[0], {})]
    order = np.argsort(-(vectors @ vectors[0]))
    conditions = Conditions(without=frozenset(order[:20].tolist()))
    [hits] = gallery.search(query, 5, conditions)
    assert used == [(1, 16)]
    assert list(hits.keys) == order[20:25].tolist()


def test_a_graph_of_few_vectors_is_not_even_read(embeddings, monkeypatch):
    build_gallery(embeddings, Path("a.xmir"), "hnsw", GraphSettings())
    Path("a.xmir/graph.hnsw").write_bytes(b"damaged")
    gallery = open_gallery("a.xmir")
    query = [Question("q", embeddings.vectors[0], {})]
    assert gallery.search(query * 300, 1)[299].keys == [0]
    monkeypatch.setattr("xmir_cli.gallery.folder.nearest.GRAPH_FROM", 0)
    with pytest.raises(DataError, match=r"graph\.hnsw: damaged index \(checksum\)"):
        gallery.search(query, 1)


def test_all_at_once_is_the_map_of_the_file_itself(embeddings):
    build_gallery(embeddings, Path("a.xmir"), "exact", GraphSettings())
    gallery = open_gallery("a.xmir")
    (everything,) = gallery.iterate(len(gallery), ["id"])
    assert np.shares_memory(everything.vectors, gallery.vectors)


@pytest.mark.parametrize("changes", [{"rows": 49}, {"dim": 4}])
def test_sizes_that_contradict_the_files_are_refused(embeddings, changes):
    build_gallery(embeddings, Path("a.xmir"), "exact", GraphSettings())
    _forge(Path("a.xmir"), **changes)
    with pytest.raises(DataError, match="damaged index"):
        open_gallery("a.xmir")


@pytest.mark.parametrize("content", [b"", b"no array", b"\x93NUMPY\x01\x00\xff\xff"])
def test_vectors_that_are_no_array_are_refused(embeddings, content):
    build_gallery(embeddings, Path("a.xmir"), "exact", GraphSettings())
    Path("a.xmir/vectors.npy").write_bytes(content)
    _forge(Path("a.xmir"))
    with pytest.raises(DataError, match="damaged index"):
        open_gallery("a.xmir")


def test_vectors_of_another_type_are_refused(embeddings):
    build_gallery(embeddings, Path("a.xmir"), "exact", GraphSettings())
    np.save("a.xmir/vectors.npy", embeddings.vectors.astype(np.float64))
    _forge(Path("a.xmir"))
    with pytest.raises(DataError, match="damaged index"):
        open_gallery("a.xmir")


def test_items_that_are_no_table_are_refused(embeddings):
    build_gallery(embeddings, Path("a.xmir"), "exact", GraphSettings())
    Path("a.xmir/items.parquet").write_bytes(b"PAR1")
    _forge(Path("a.xmir"))
    with pytest.raises(DataError, match="damaged index"):
        open_gallery("a.xmir")


def test_an_index_of_a_later_version_is_named(embeddings):
    build_gallery(embeddings, Path("a.xmir"), "exact", GraphSettings())
    _forge(Path("a.xmir"), schema="xmir.index/2")
    with pytest.raises(DataError, match=r"schema: expected xmir.index/1, found 'xmir.index/2'"):
        open_gallery("a.xmir")


def test_an_index_without_its_mean_is_read_through_for_it(embeddings):
    build_gallery(embeddings, Path("a.xmir"), "exact", GraphSettings())
    kept = open_gallery("a.xmir")
    assert kept.manifest.mean is not None
    data = json.loads(Path("a.xmir/manifest.json").read_text())
    del data["mean"], data["checksum"]
    data["checksum"] = manifest._checksum(data)
    Path("a.xmir/manifest.json").write_text(json.dumps(data))
    earlier = open_gallery("a.xmir")
    assert earlier.manifest.mean is None
    assert earlier.mean.tobytes() == kept.mean.tobytes()


@pytest.mark.parametrize(
    "mean",
    ["", "x", "AAAA", manifest.pack_mean(np.zeros(9)), manifest.pack_mean(np.full(8, np.nan))],
)
def test_a_mean_that_is_none_is_refused_where_it_is_asked_for(embeddings, mean):
    build_gallery(embeddings, Path("a.xmir"), "exact", GraphSettings())
    _forge(Path("a.xmir"), mean=mean)
    gallery = open_gallery("a.xmir")
    with pytest.raises(DataError, match=r"damaged index \(mean\)"):
        _ = gallery.mean


@pytest.mark.parametrize(
    "changes", [{"files": 3}, {"settings": {"n": 1}}, {"model": {}}, {"mean": 3}]
)
def test_a_manifest_that_is_not_one_is_refused(embeddings, changes):
    build_gallery(embeddings, Path("a.xmir"), "exact", GraphSettings())
    data = json.loads(Path("a.xmir/manifest.json").read_text()) | changes
    data.pop("checksum")
    data["checksum"] = manifest._checksum(data)
    Path("a.xmir/manifest.json").write_text(json.dumps(data))
    with pytest.raises(DataError, match=r"manifest\.json"):
        open_gallery("a.xmir")


def test_a_lack_of_memory_is_not_taken_for_damage(embeddings, monkeypatch):
    build_gallery(embeddings, Path("a.xmir"), None, GraphSettings())

    def starve(*_: object, **__: object) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(np, "load", starve)
    with pytest.raises(MemoryError):
        open_gallery("a.xmir")


def test_a_forged_graph_with_the_right_checksums_is_refused(embeddings):
    build_gallery(embeddings, Path("a.xmir"), "hnsw", GraphSettings(m=4))
    data = bytearray(Path("a.xmir/graph.hnsw").read_bytes())
    data[96 + 4 : 96 + 8] = b"\xff\xff\xff\xff"  # the first link of the first item
    Path("a.xmir/graph.hnsw").write_bytes(data)
    _forge(Path("a.xmir"))
    for _ in range(2):  # nor is it taken for checked then
        with pytest.raises(DataError, match=r"graph\.hnsw: not a graph of hnswlib"):
            open_gallery("a.xmir").graph  # noqa: B018 # opened when it is asked for
