"""What is said of Qdrant alone: its key, its errors, what its points are."""

import os
import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

pytest.importorskip("qdrant_client", reason="needs the extra qdrant")
pytest.importorskip("qdrant_edge", reason="needs the segment of Qdrant")

from tests.gallery.test_contract import Asked, make
from tests.servers.certificates import make_certificate
from tests.servers.qdrant import EdgeServer
from xmir_cli.errors import DataError, SettingError, UsageError
from xmir_cli.gallery.engines import build_index, open_gallery, refuse_build
from xmir_cli.gallery.protocol import Build, Conditions, GraphSettings, Spread
from xmir_cli.gallery.qdrant.engine import CollectionPlace
from xmir_cli.gallery.servers import collection, retries
from xmir_cli.store.embeddings import write_embeddings
from xmir_cli.store.where import Condition


@pytest.fixture(scope="module")
def server():
    found = EdgeServer()
    yield found
    found.remove()


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(retries, "FIRST_WAIT", 0.01)


def test_points_and_their_ids_are_those_of_the_items(server):
    whole = make()
    build_index(server.url("points"), whole, Build("exact", spread=Spread(6, 2)))
    alias = server.shards.aliases["points"]
    told = server.shards.told[alias]
    assert (told.shard_number, told.replication_factor, told.write_consistency_factor) == (6, 2, 2)
    assert told.hnsw_config.m == 0  # no graph
    name, shard = server.shards.find("points")
    assert name.startswith("points-")
    space = uuid.UUID("6b1f1c59-7d3d-5a63-9d0b-0c1f7f0f9a42")
    [point] = shard.retrieve([str(uuid.uuid5(space, "i21"))], True, True)
    row = whole.items["id"].to_pylist().index("i21")
    assert (point.payload["id"], point.payload["row"]) == ("i21", row)
    np.testing.assert_array_equal(np.float32(point.vector), whole.vectors[row])
    assert "split" not in point.payload  # it has none
    assert set(server.shards.metadata[alias]) == {"xmir"}


def test_a_batch_that_came_in_by_half_is_put_in_again(server, monkeypatch):
    monkeypatch.setattr(collection, "_MOST", 7)
    server.faults.left = 18
    url = server.url("half")
    with pytest.raises(DataError, match="the connection was lost"):
        build_index(url, make(), Build("exact"))
    server.faults.left = None
    [name] = [name for name in server.shards.shards if name.startswith("half-")]
    assert server.shards.shards[name].info().points_count == 18
    build_index(url, make(), Build("exact"))
    (everything,) = open_gallery(url).iterate(60)
    assert everything.columns.to_pylist() == make().items.to_pylist()
    build_index(
        url, replace(make(), items=make().items[:9], vectors=make().vectors[:9]), Build(force=True)
    )
    assert [each for each in server.shards.shards if each.startswith("half-")] != [name]
    assert len([each for each in server.shards.shards if each.startswith("half-")]) == 1


def test_a_collection_that_is_removed_meanwhile_says_what_to_do(server, monkeypatch):
    monkeypatch.setattr(collection, "_MOST", 7)
    url, put = server.url("torn"), CollectionPlace.put

    def torn(self, about, batches, start):
        def removed():
            for number, batch in enumerate(batches):
                if number == 2:
                    server.shards.delete(self._place(about))
                yield batch

        put(self, about, removed(), start)

    with monkeypatch.context() as patch:
        patch.setattr(CollectionPlace, "put", torn)
        with pytest.raises(DataError, match="removed or replaced meanwhile") as found:
            build_index(url, make(), Build("exact"))
    assert "Run it again: a load that lost its items begins anew" in found.value.hint
    build_index(url, make(), Build("exact"))
    gallery = open_gallery(url)
    assert len(gallery) == 60
    server.shards.delete(server.shards.aliases["torn"])
    with pytest.raises(DataError, match="removed or replaced meanwhile") as found:
        gallery.by_id(["i1"])
    assert "Run it again" in found.value.hint


def test_a_load_leaves_alone_what_another_one_is_filling(server, monkeypatch):
    monkeypatch.setattr(collection, "_MOST", 7)
    url, put, whole = server.url("two"), CollectionPlace.put, make()
    few = replace(whole, items=whole.items[:9], vectors=whole.vectors[:9])
    begun, beside, grown, done = (threading.Event() for _ in range(4))

    def watched(self, about, batches, start):
        def paced():
            for number, batch in enumerate(batches):
                if number == 2:
                    begun.set()
                    assert beside.wait(20)
                if number == 4:
                    grown.set()
                    assert done.wait(20)
                yield batch

        if about.rows == 9:
            beside.set()
            assert grown.wait(20)
        put(self, about, batches if about.rows == 9 else paced(), start)

    monkeypatch.setattr(CollectionPlace, "put", watched)
    with ThreadPoolExecutor(1) as pool:
        large = pool.submit(build_index, url, whole, Build("exact", force=True))
        assert begun.wait(20)
        build_index(url, few, Build("exact"))
        assert len(open_gallery(url)) == 9
        done.set()
        assert large.result().rows == 60
    assert len(open_gallery(url)) == 60
    assert len([each for each in server.shards.shards if each.startswith("two-")]) == 1


def test_a_key_comes_from_the_environment(server, monkeypatch, capsys):
    url = server.url("key")
    build_index(url, make(), Build("exact"))
    monkeypatch.setattr(server.faults, "key", "s3cret")
    for wrong in (None, "wr0ng"):
        if wrong:
            monkeypatch.setenv("QDRANT_API_KEY", wrong)
        with pytest.raises(DataError) as found:
            open_gallery(url)
        assert str(found.value) == f"{url}: a key is needed, or it is another one"
        assert found.value.hint == "Put it into $QDRANT_API_KEY."
    monkeypatch.setenv("QDRANT_API_KEY", "s3cret")
    gallery = open_gallery(url)
    assert (len(gallery), gallery.name) == (60, url)
    told = capsys.readouterr()
    assert "s3cret" not in told.out + told.err


def test_a_key_is_not_sent_in_the_open_without_a_word(xmir, monkeypatch):
    monkeypatch.setenv("QDRANT_API_KEY", "s3cret")
    result = xmir("query", "--id", "a", "-i", "qdrant://127.0.0.2:1/a")
    assert result.code == 5
    assert result.stderr.startswith(
        "xmir: warning: qdrant://127.0.0.2:1/a: $QDRANT_API_KEY is sent as it is; "
        "qdrants:// encrypts it\nxmir: error: qdrant://127.0.0.2:1/a: no server answers there\n"
    )


def test_connections_are_encrypted(tmp_path):
    key, certificate = make_certificate(tmp_path)
    secure = EdgeServer((key.read_bytes(), certificate.read_bytes()))
    try:
        url = secure.url("tls")
        trusting = os.environ | {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(certificate)}
        write_embeddings(tmp_path / "e.parquet", make())
        xmir = [sys.executable, "-m", "xmir_cli"]
        loaded = subprocess.run(
            [*xmir, "index", tmp_path / "e.parquet", "-o", url], env=trusting, capture_output=True
        )
        assert loaded.returncode == 0, loaded.stderr
        asked = [*xmir, "query", "--id", "i0", "-k", "2", "-i", url]
        found = subprocess.run(asked, env=trusting, capture_output=True, text=True)
        assert (found.returncode, len(found.stdout.splitlines())) == (0, 2)
        strange = subprocess.run(asked, capture_output=True, text=True)
        assert (strange.returncode, strange.stdout) == (5, "")
        assert strange.stderr.startswith(f"xmir: error: {url}: no server answers there\n")
        assert len(strange.stderr.splitlines()) == 2
    finally:
        secure.remove()


def test_a_server_that_hangs_is_given_up_in_time(server):
    build_index(server.url("hangs"), make(), Build("exact"))
    url = server.url("hangs", "?timeout=2")
    gallery = open_gallery(url)
    server.faults.hangs.set()
    start = time.monotonic()
    with pytest.raises(DataError) as found:
        gallery.search([Asked(make().vectors[0])], 3)
    server.faults.hangs.clear()
    server.faults.goes_on.set()
    assert 1.9 < time.monotonic() - start < 5
    assert str(found.value) == f"{url}: no answer within 2 s"
    assert len(gallery.search([Asked(make().vectors[0])], 3)[0].keys) == 3


@pytest.mark.parametrize(
    "url",
    [
        *("qdrant://h", "qdrant://h/", "qdrant://h/a/b", "qdrant:///a", "qdrant://h:0x1/a"),
        *("qdrant://h:99999/a", "qdrant://h/a?collection=b", "qdrant://h/.."),
    ],
)
def test_what_names_no_collection_is_refused(url):
    with pytest.raises(UsageError) as found:
        open_gallery(url)
    assert str(found.value).startswith((f"{url}: ", f"{url.partition(chr(58))[0]}://...: "))


def test_what_qdrant_cannot_do_is_refused_before_it_is_asked():
    with pytest.raises(SettingError, match="ef_construction 3: Qdrant takes at least 4"):
        refuse_build("qdrant://nowhere.invalid/a", Build("hnsw", GraphSettings(ef_construction=3)))


def test_what_qdrant_cannot_do_is_refused_in_one_line(server):
    with pytest.raises(SettingError, match="ef_construction 3: Qdrant takes at least 4"):
        build_index(server.url("a"), make(), Build("hnsw", GraphSettings(ef_construction=3)))


def test_a_large_gallery_is_asked_by_its_graph(server, monkeypatch):
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(3000, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    sites = [f"s{row % 2}" if row % 100 else "rare" for row in range(3000)]
    items = pa.table({"id": [f"i{row}" for row in range(3000)], "site": sites})
    url = server.url("large")
    built = build_index(url, replace(make(), items=items, vectors=vectors), Build("hnsw"))
    assert built.recall_at_10 > 0.8
    assert server.shards.find("large")[1].info().indexed_vectors_count == 3000
    gallery = open_gallery(url)
    queries = [Asked(vector) for vector in vectors[:20]]
    server.faults.graphs = 0
    exact = np.argsort(-(vectors[:20] @ vectors.T), axis=1)[:, :5].tolist()
    assert [list(hits.keys) for hits in gallery.search(queries, 5)] == exact
    assert server.faults.graphs == 0  # it is small
    monkeypatch.setattr("xmir_cli.gallery.folder.nearest.GRAPH_FROM", 0)
    found = [list(hits.keys) for hits in gallery.search(queries, 5)]
    assert server.faults.graphs == 20
    assert np.mean([one == other for one, other in zip(found, exact, strict=True)]) > 0.5
    rare = Conditions(where=(Condition("site", "=", "rare"),))
    for hits in gallery.search(queries, 30, rare):
        assert sorted(hits.keys) == list(range(0, 3000, 100))
    assert server.faults.graphs == 20  # where a filter is selective all are compared
