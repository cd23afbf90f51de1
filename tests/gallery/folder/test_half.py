"""An index that keeps its vectors in float16: similarities are the exact products of those."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from xmir_cli.errors import DataError, SettingError
from xmir_cli.gallery.folder import exact, rows
from xmir_cli.gallery.folder.build import write_gallery
from xmir_cli.gallery.folder.engine import describe_index, open_gallery
from xmir_cli.gallery.protocol import Build, Conditions
from xmir_cli.gallery.servers.engine import ServerEngine
from xmir_cli.gallery.vectors import center_rows, mean_vector
from xmir_cli.retrieval.queries import Question
from xmir_cli.store.embeddings import Embeddings
from xmir_cli.store.where import Condition
from xmir_cli.wire.model import ModelSpec

ROWS, DIM = 300, 16


@pytest.fixture(autouse=True)
def however_small(monkeypatch):
    monkeypatch.setattr("xmir_cli.gallery.folder.nearest.GRAPH_FROM", 0)
    monkeypatch.setattr(exact, "_ROWS", 32)
    monkeypatch.setattr(exact, "_HEIGHTS", (8, 64))


@pytest.fixture
def embeddings():
    vectors = np.random.default_rng(0).normal(size=(ROWS, DIM)).astype(np.float32)
    vectors[200:] = vectors[100:200]  # ties
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    patients = pa.array([f"p{row % 7}" if row % 3 else None for row in range(ROWS)])
    items = pa.table({"id": [f"i{row}" for row in range(ROWS)], "patient": patients})
    return Embeddings(items, vectors, ModelSpec("tiny", "random:0", weights_sha256="ab" * 32))


@pytest.fixture(params=["exact", "hnsw"])
def gallery(request, embeddings):
    write_gallery(embeddings, Path("a.xmir"), Build(request.param, store="float16"))
    return open_gallery("a.xmir")


def nearest(kept, query, k, allowed):
    """The protocol's words by plain loops over the numbers in the file."""
    found = [
        (sum(float(a) * float(b) for a, b in zip(row, query, strict=True)), number)
        for number, row in enumerate(kept)
        if allowed(number)
    ]
    return sorted(found, key=lambda each: (-each[0], each[1]))[:k]


def test_the_file_holds_float16_and_is_half_as_large(embeddings, gallery):
    kept = np.load("a.xmir/vectors.npy")
    assert kept.dtype == np.float16
    assert np.array_equal(kept, embeddings.vectors.astype(np.float16))
    lengths = np.linalg.norm(kept.astype(np.float64), axis=1)
    assert np.abs(lengths - 1).max() < 2**-11
    assert gallery.store == describe_index("a.xmir")["store"] == "float16"


@pytest.mark.parametrize("k", [1, 7, ROWS // 2 + 1])
def test_similarities_are_the_float64_products_of_what_is_kept(embeddings, gallery, k):
    kept = np.load("a.xmir/vectors.npy")
    queries = [Question("q", vector, {"patient": "p1"}) for vector in embeddings.vectors[::60]]
    patients = embeddings.items["patient"].to_pylist()
    for conditions, allowed in (
        (Conditions(), lambda _: True),
        (Conditions(not_same=("patient",)), lambda row: patients[row] != "p1"),
        (
            Conditions(where=(Condition("patient", "=", "p2"),)),
            lambda row: patients[row] == "p2",
        ),
    ):
        for query, hits in zip(queries, gallery.search(queries, k, conditions), strict=True):
            expected = nearest(kept, query.vector, k, allowed)
            assert list(hits.keys) == [row for _, row in expected]
            np.testing.assert_allclose(
                hits.similarities, [min(1.0, each) for each, _ in expected], rtol=0, atol=1e-14
            )


def test_vectors_come_out_as_they_are_kept(gallery):
    kept = np.load("a.xmir/vectors.npy").astype(np.float32)
    found = gallery.vectors_of([5, 299, 5])
    assert found.dtype == np.float32
    assert np.array_equal(found, kept[[5, 299, 5]])
    assert np.array_equal(np.concatenate([c.vectors for c in gallery.iterate(70, ["id"])]), kept)
    assert np.array_equal(gallery.mean, mean_vector([kept]))


def test_centred_search_takes_the_mean_off_what_is_kept(embeddings, gallery):
    kept = np.load("a.xmir/vectors.npy").astype(np.float32)
    left = center_rows(kept, gallery.mean)
    [hits] = gallery.search([Question("q", embeddings.vectors[3], {})], 9, centered=True)
    expected = nearest(left, embeddings.vectors[3], 9, lambda _: True)
    assert list(hits.keys) == [row for _, row in expected]


def test_no_search_widens_the_whole_map(embeddings, monkeypatch):
    write_gallery(embeddings, Path("a.xmir"), Build("exact", store="float16"))
    gallery = open_gallery("a.xmir")
    monkeypatch.setattr(rows.HalfRows, "__getitem__", _watched(widened := []))
    gallery.search([Question("q", embeddings.vectors[3], {})] * 3, 5)
    assert widened
    assert max(widened) <= 32


def test_all_at_once_are_widened_into_a_file(gallery, monkeypatch):
    monkeypatch.setattr("xmir_cli.store.kept_vectors._HELD", 0)
    monkeypatch.setattr("xmir_cli.gallery.folder.gallery._ROWS", 32)
    monkeypatch.setattr(rows.HalfRows, "__getitem__", _watched(widened := []))
    (everything,) = gallery.iterate(len(gallery), ["id"])
    assert max(widened) <= 32
    assert isinstance(everything.vectors, np.memmap)
    kept = np.load("a.xmir/vectors.npy").astype(np.float32)
    assert np.array_equal(everything.vectors, kept)


def _watched(widened):
    """The reading of rows, which tells how many each time."""
    inner = rows.HalfRows.__getitem__

    def watch(self, rows):
        found = inner(self, rows)
        widened.append(len(found))
        return found

    return watch


def test_an_earlier_manifest_is_of_float32_and_a_wrong_one_is_damage(embeddings):
    from tests.gallery.folder.test_engine import _forge

    write_gallery(embeddings, Path("a.xmir"), Build("exact", store="float16"))
    _forge(Path("a.xmir"), store="float32")
    with pytest.raises(DataError, match="damaged index \\(sizes differ\\)"):
        open_gallery("a.xmir")
    for wrong in ("int8", None, 3):
        _forge(Path("a.xmir"), store=wrong)
        with pytest.raises(DataError, match="not the manifest of an xmir index"):
            open_gallery("a.xmir")


def test_a_server_keeps_float32(embeddings):
    engine = ServerEngine(pytest.fail)
    line = r"^store float16: a server keeps float32; a folder NAME\.xmir may keep less$"
    with pytest.raises(SettingError, match=line):
        engine.build_index("qdrant://host/x", embeddings, Build(store="float16"))
