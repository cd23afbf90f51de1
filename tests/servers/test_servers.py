"""Galleries on servers through the front door: the same of every server."""

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.gallery.test_contract import Asked, make
from tests.servers import servers
from xmir_cli.errors import DataError, ExistsError
from xmir_cli.gallery.engines import build_index, open_gallery
from xmir_cli.gallery.protocol import Build
from xmir_cli.gallery.servers import collection, loading, retries
from xmir_cli.model.loader import load_network
from xmir_cli.store.checkpoint import write_tensors
from xmir_cli.store.embeddings import read_embeddings, write_embeddings

SERVERS = {server.name: server for server in servers() if server.name != "memory"}
if not SERVERS:
    pytest.skip("needs the extra of a server", allow_module_level=True)
NAMES = "abcdefgh"


@pytest.fixture(scope="module", params=SERVERS)
def server(request):
    yield SERVERS[request.param]
    SERVERS[request.param].stop()


@pytest.fixture
def network(tiny_arch):
    return ("--arch", tiny_arch, "--weights", "random:1")


@pytest.fixture
def embeddings(xmir, network):
    for seed, name in enumerate(NAMES):
        coarse = np.random.default_rng(seed).integers(0, 255, (5, 6), dtype=np.uint8)
        Image.fromarray(coarse).resize((32, 32), Image.Resampling.NEAREST).save(f"{name}.png")
    lines = [f"{name}.png,{'ill' if name in 'bdf' else 'well'},{name > 'd'}" for name in NAMES]
    Path("m.csv").write_text("\n".join(["path,label,patient", *lines]))
    assert xmir("embed", "m.csv", *network, "-o", "e.parquet").code == 0
    return "e.parquet"


@pytest.fixture
def routes(xmir, server, embeddings, request):
    """The same images in a folder and on the server."""
    url = server.place(f"t{abs(hash(request.node.name))}")
    for place in ("e.xmir", url):
        result = xmir("index", embeddings, "-o", place, "--force")
        assert (result.code, result.stderr) == (0, "")
    return "e.xmir", url


def told(result, place):
    """What a command said, whatever the index is called."""
    assert "Traceback" not in result.stderr
    return result.code, result.stdout.replace(json.dumps(place)[1:-1], "INDEX"), result.stderr


def same(xmir, routes, *call, stdin=None):
    folder, url = routes
    home = os.path.abspath(folder)  # noqa: PTH100
    one = told(xmir(*call, *(["-i", folder] if call[0] == "query" else []), stdin=stdin), home)
    other = told(xmir(*call, *(["-i", url] if call[0] == "query" else []), stdin=stdin), url)
    assert one == other
    return one


@pytest.mark.parametrize(
    "asked",
    [
        ("a.png", "b.png"),
        ("--all", "--no-self", "-k", "9"),
        ("--id", "c.png", "--exclude-same", "patient"),
        ("--id", "c.png", "--per", "patient=1"),
        ("--all", "--per", "label=1"),
        ("--all", "--where", "label=ill", "-k", "7"),
        ("--all", "--where", "label=none such"),
        ("--id", "c.png", "--where", "width>31", "--where", "patient!=True"),
        ("--id", "c.png", "--where", "width>a"),
        ("--id", "c.png", "--where", "no such=1"),
        ("--like", "a.png", "--like", "b.png", "--unlike", "d.png"),
        ("a.png", "--region", "0,0,16,16"),
        ("a.png", "--region", "0,0,16,16", "--center"),
        ("--id", "nothing like it"),
        ("--all", "--vote", "label", "--novelty", "-k", "2"),
        ("a.png", "--vote", "label", "--neighbors", "3", "--where", "patient=True"),
        ("--id", "a.png", "--like", "b.png", "--novelty", "--min-similarity", "0.99999"),
        ("--per-label", "2", "--vote", "label", "--coverage", "0.5"),
    ],
    ids=" ".join,
)
def test_queries_print_the_records_of_a_folder(xmir, routes, asked):
    folder, url = routes
    one = xmir("query", *asked, "-i", folder)
    other = xmir("query", *asked, "-i", url)
    if "--center" in asked:  # which is said
        assert "a server keeps no centred vectors; all 8 are read" in other.stderr
    else:
        assert other.stderr.replace(url, "I") == one.stderr.replace(os.path.abspath(folder), "I")  # noqa: PTH100
    assert other.code == one.code
    records = [[{**each, "index": 0} for each in found.records()] for found in (one, other)]
    assert records[0] == records[1]


def test_concepts_are_fitted_to_the_items_and_ask_as_those_of_a_folder(xmir, routes):
    told, asked = [], []
    for number, place in enumerate(routes):
        both = ["--positive", "label=ill", "--negative", "label=well", "--permutations", "19"]
        fitted = xmir("concept", "fit", *both, "-i", place, "-o", f"c{number}.npy")
        assert fitted.code == 0, fitted.stderr
        told.append({**fitted.records()[0], "path": 0})
        flags = ["--toward", "c0.npy:-1", "--concept", "c0.npy", "-k", "3"]
        asked.append(xmir("query", "--all", *flags, "-i", place))
        assert asked[-1].code == 0, asked[-1].stderr
    assert told[0] == told[1]
    one, other = ([{**each, "index": 0} for each in found.records()] for found in asked)
    assert len(one) == 3 * len(NAMES)
    assert one == other
    maps = [
        xmir("saliency", "--target", "c0.npy", "-o", f"m{number}", stdin=found.stdout)
        for number, found in enumerate(asked)
    ]
    assert [found.code for found in maps] == [0, 0]
    for one, other in zip(*(found.records() for found in maps), strict=True):
        np.testing.assert_array_equal(np.load(one["saliency"]), np.load(other["saliency"]))


def test_records_that_name_a_url_are_explained_and_shown(xmir, routes):
    asked = ("query", "a.png", "-k", "3", "-i")
    lines = [xmir(*asked, place).stdout for place in routes]
    calls = [
        ("saliency", "-", "--method", "activation", "--center", "--no-overlay"),
        ("saliency", "-", "--method", "weight-transfer", "--no-overlay"),
        ("retrieval-metric", "-"),
    ]
    for call in calls[:2]:
        found = []
        for number, text in enumerate(lines):
            out = f"o{number}{call[3]}"
            result = xmir(*call, "-o", out, stdin=text)
            found.append(
                (result.code, [np.load(each) for each in sorted(Path(out).rglob("*.npy"))])
            )
        assert found[0][0] == found[1][0] == 0
        assert len(found[0][1]) == 3
        for one, other in zip(found[0][1], found[1][1], strict=True):
            np.testing.assert_array_equal(one, other)
    result = xmir("montage", "-", "-o", "m.png", stdin=lines[1])
    assert result.code == 0, result.stderr


def test_every_command_takes_the_url(xmir, routes, monkeypatch):
    url = routes[1]
    [one], [other] = (xmir("retrieval-metric", place).records() for place in routes)
    assert {**one, "embeddings": 0} == {**other, "embeddings": 0}
    [one], [other] = (xmir("info", place).records() for place in routes)
    assert {key: one[key] for key in ("kind", "search", "rows", "dim", "model")} == {
        key: other[key] for key in ("kind", "search", "rows", "dim", "model")
    }
    assert other["path"] == url
    [checked] = xmir("info", url, "--verify").records()
    assert checked["checksum"] == "all"
    monkeypatch.setenv("XMIR_INDEX", url)
    assert xmir("query", "--id", "a.png").records()[0]["index"] == url


def test_what_is_completed_is_asked_of_the_server(routes):
    from types import SimpleNamespace

    from xmir_cli.completion import complete_ids, complete_where

    context = SimpleNamespace(params={"index": routes[1]}, args=[])
    assert complete_ids(context, "") == [f"{name}.png" for name in NAMES]
    assert complete_where(context, "lab") == ["label=ill", "label=well"]
    context = SimpleNamespace(params={"index": f"{routes[1]}-not"}, args=[])
    assert complete_ids(context, "") == []


@pytest.mark.usefixtures("embeddings")
def test_a_pipe_is_loaded(xmir, server, network):
    url = server.place("piped")
    stream = xmir("embed", "m.csv", *network, "-o", "-")
    command = [sys.executable, "-m", "xmir_cli", "index", "-", "-o", url]
    found = subprocess.run(command, input=stream.stdout_bytes, capture_output=True)
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["path"] == url
    assert len(open_gallery(url)) == len(NAMES)


def test_again_is_the_same_and_another_needs_force(xmir, server, embeddings):
    url = server.place("again")
    first = xmir("index", embeddings, "-o", url)
    again = xmir("index", embeddings, "-o", url)
    assert (first.code, again.code) == (0, 0)
    assert first.stdout == again.stdout
    table = pq.read_table(embeddings)
    pq.write_table(
        table[:5].replace_schema_metadata(table.schema.metadata | {b"xmir.rows": b"5"}), "o.parquet"
    )
    other = xmir("index", "o.parquet", "-o", url)
    assert (other.code, other.stdout) == (7, "")
    assert other.stderr == (
        f"xmir: error: {url}: exists already\nxmir: hint: Replace it with --force.\n"
    )
    assert len(open_gallery(url)) == 8
    assert xmir("index", "o.parquet", "-o", url, "--force").code == 0
    assert len(open_gallery(url)) == 5


def test_what_is_not_of_xmir_stays(xmir, server, embeddings):
    url = server.place("theirs")
    server.put_another("theirs")
    for more in ((), ("--force",)):
        result = xmir("index", embeddings, "-o", url, *more)
        assert (result.code, result.stdout) == (5, "")
        assert result.stderr == (
            f"xmir: error: {url}: not an index, so it is not replaced\n"
            "xmir: hint: Choose another name.\n"
        )
    result = xmir("query", "--id", "a", "-i", url)
    assert result.code == 5
    assert result.stderr == (
        f"xmir: error: {url}: not an xmir index\nxmir: hint: Name one that 'xmir index' has made.\n"
    )


def test_what_is_not_there_is_said(xmir, server):
    url = server.place("nowhere")
    for call in (("query", "--id", "a", "-i"), ("info",), ("retrieval-metric",)):
        result = xmir(*call, url)
        assert (result.code, result.stdout) == (5, "")
        assert result.stderr.startswith(f"xmir: error: {url}: no such index\n")


def test_a_part_of_what_was_loaded_is_refused(xmir, server, embeddings):
    url = server.place("damaged")
    assert xmir("index", embeddings, "-o", url).code == 0
    server.change("damaged")
    assert xmir("info", url).code == 0
    result = xmir("info", url, "--verify")
    assert (result.code, result.stderr.splitlines()[0]) == (
        5,
        f"xmir: error: {url}: damaged index (digest)",
    )
    server.forget("damaged")
    result = xmir("query", "--id", "a.png", "-i", url)
    assert result.code == 5
    assert result.stderr.splitlines()[0] == (
        f"xmir: error: {url}: damaged index (7 items, 8 expected)"
    )


def test_rows_that_are_no_vectors_stay_out(xmir, server, embeddings):
    table = pq.read_table(embeddings)
    vectors = np.stack(table["embedding"].to_pylist()).astype(np.float32)
    vectors[1], vectors[4, 2], vectors[5] = 0, np.nan, np.inf
    kind = table.schema.field("embedding").type
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), type=kind)
    place = table.column_names.index("embedding")
    pq.write_table(table.set_column(place, table.schema.field("embedding"), column), "n.parquet")
    url = server.place("nan")
    results = [xmir("index", "n.parquet", "-o", at) for at in (url, "n.xmir")]
    assert [result.code for result in results] == [3, 3]
    assert results[0].stderr == results[1].stderr
    found = open_gallery(url).distinct("id").to_pylist()
    assert sorted(found) == ["a.png", "c.png", "d.png", "g.png", "h.png"]


def test_another_model_is_refused_as_by_a_folder(xmir, routes):
    spec = replace(open_gallery(routes[0]).model, weights="random:2", weights_sha256="")
    write_tensors(Path("other.safetensors"), load_network(spec).state_dict(), {})
    results = [
        xmir("query", "a.png", "-i", place, "--model", "other.safetensors") for place in routes
    ]
    assert results[0].code == results[1].code == 6
    assert results[0].stderr == results[1].stderr
    assert "not the recorded weights" in results[1].stderr


def test_feature_maps_and_spreads_are_refused(xmir, server, network, embeddings):
    url = server.place("maps")
    assert xmir("embed", "a.png", *network, "--features", "-o", "f.parquet").code == 0
    result = xmir("index", "f.parquet", "-o", url)
    assert (result.code, result.stdout) == (5, "")
    assert result.stderr.startswith("xmir: error: a gallery on a server keeps no feature maps\n")
    result = xmir("index", embeddings, "-o", "s.xmir", "--shards", "2")
    assert (result.code, result.stderr) == (
        2,
        "xmir: error: --shards 2: a folder has none; Qdrant has\n",
    )
    assert not Path("s.xmir").exists()


KILLED = """
import os, signal, sys
from xmir_cli.gallery.servers import collection, loading
from xmir_cli import main
collection._MOST = 7
encode = loading._encode
def dying(*given):
    for number, batch in enumerate(encode(*given)):
        if number == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        yield batch
loading._encode = dying
main.run(sys.argv[1:])
"""


def test_a_load_that_was_killed_goes_on(xmir, server, monkeypatch):
    whole = make()
    path = Path("k.parquet")
    write_embeddings(path, whole)
    url = server.place("killed")
    found = subprocess.run([sys.executable, "-c", KILLED, "index", path, "-o", url])
    assert found.returncode == -9
    result = xmir("query", "--id", "i0", "-i", url)
    assert (result.code, result.stdout) == (5, "")
    assert result.stderr == (
        f"xmir: error: {url}: an unfinished index; its load was interrupted\n"
        "xmir: hint: Run the same 'xmir index' again: it goes on where it ended.\n"
    )
    monkeypatch.setattr(collection, "_MOST", 7)
    known = []
    monkeypatch.setattr("xmir_cli.progress.Progress.go_on", lambda _, count: known.append(count))
    result = xmir("index", str(path), "-o", url)
    assert known == [14]  # which took none of this run's time
    assert (result.code, result.stderr) == (0, "xmir: note: goes on after 14 of 60 items\n")
    gallery = open_gallery(url)
    (everything,) = gallery.iterate(60)
    assert everything.columns.to_pylist() == read_embeddings(str(path)).items.to_pylist()
    np.testing.assert_array_equal(everything.vectors, whole.vectors)
    assert xmir("info", url, "--verify").code == 0


def test_another_load_takes_the_place_of_an_unfinished_one(server, monkeypatch):
    whole = make()
    url = server.place("left")

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
        patch.setattr(loading, "_encode", stop)
        build_index(url, whole, Build("exact"))
    with pytest.raises(DataError, match="unfinished"):
        open_gallery(url)
    other = replace(whole, items=whole.items[:30], vectors=whole.vectors[:30])
    build_index(url, other, Build("exact"))
    assert len(open_gallery(url)) == 30


def test_what_was_there_stays_until_all_is_in(server, monkeypatch):
    whole = make()
    url = server.place("stays")
    half = replace(whole, items=whole.items[:30], vectors=whole.vectors[:30])
    build_index(url, half, Build("exact"))

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loading, "_encode", stop)
        with pytest.raises(KeyboardInterrupt):
            build_index(url, whole, Build("exact", force=True))
    gallery = open_gallery(url)
    assert len(gallery) == 30
    with pytest.raises(ExistsError):
        build_index(url, whole, Build("exact"))
    build_index(url, whole, Build("exact", force=True))
    assert len(open_gallery(url)) == 60
    with suppress(DataError):  # an opened one says that it is gone, or goes on
        assert len(gallery.search([Asked(whole.vectors[0])], 40)[0].keys) <= 30


def test_a_server_that_is_started_again_is_loaded_and_asked_on(server, monkeypatch):
    whole = make()
    url = server.place("restarted")
    monkeypatch.setattr(collection, "_MOST", 7)
    encode = loading._encode
    waiting = []

    def killing(*given):
        for number, batch in enumerate(encode(*given)):
            if number == 3:
                server.kill()
                waiting.append(threading.Timer(0.7, server.start))
                waiting[0].start()
            yield batch

    with monkeypatch.context() as patch:
        patch.setattr(loading, "_encode", killing)
        build_index(url, whole, Build("exact"))
    waiting[0].join()
    gallery = open_gallery(url)
    assert len(gallery) == 60
    before = gallery.search([Asked(whole.vectors[0])], 5)[0]
    server.kill()
    timer = threading.Timer(0.5, server.start)
    timer.start()
    after = gallery.search([Asked(whole.vectors[0])], 5)[0]
    timer.join()
    assert list(after.keys) == list(before.keys)


def test_a_server_that_is_gone_is_one_line_at_once(xmir, server, embeddings, monkeypatch):
    monkeypatch.setattr(retries, "FIRST_WAIT", 0.01)
    url = server.place("gone")
    assert xmir("index", embeddings, "-o", url).code == 0
    gallery = open_gallery(url)
    server.kill()
    try:
        calls = [
            ("query", "--id", "a.png", "-i", url),
            ("info", url),
            ("index", embeddings, "-o", url),
            ("retrieval-metric", url),
        ]
        for call in calls:
            start = time.monotonic()
            result = xmir(*call)
            assert time.monotonic() - start < 8
            assert (result.code, result.stdout) == (5, "")
            assert result.stderr.startswith(f"xmir: error: {url}: no server answers there\n")
            assert len(result.stderr.splitlines()) <= 2
        with pytest.raises(DataError, match=r"no server answers there|connection was lost"):
            gallery.by_id(["a.png"])
    finally:
        server.start()
    assert gallery.by_id(["a.png"]) == [0]
