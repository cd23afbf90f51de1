"""`xmir index --whiten`: bound to its index, and the same whoever asks."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xmir_cli.gallery.engines import open_gallery
from xmir_cli.store.embeddings import read_embeddings
from xmir_cli.store.whitening import read_whitener

NETWORKS = Path(__file__).parents[1] / "networks"
NAMES = "abcdefgh"


def draw(names):
    for seed, name in enumerate(names):
        coarse = np.random.default_rng(seed).integers(0, 255, (5, 6, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((40, 32), Image.Resampling.NEAREST).save(f"{name}.png")


@pytest.fixture
def make_index(xmir):
    def make(network, head=None):
        draw("abcdefghz")
        flags = ["--arch", f"{NETWORKS}/{network}", "--weights", "random:3", "--device", "cpu"]
        flags += [] if head is None else ["--head", str(head)]
        for image in ("*[a-h].png", "z.png"):
            name = "e" if "*" in image else "z"
            files = sorted(Path().glob(image))
            done = xmir("embed", *files, *flags, "-o", f"{name}.parquet")
            assert (done.code, done.stderr) == (0, "")
        assert xmir("index", "e.parquet", "-o", "plain.xmir").code == 0
        made = xmir("index", "e.parquet", "-o", "white.xmir", "--whiten", "3")
        assert (made.code, made.stderr, made.records()[0]["dim"]) == (0, "", 3)
        return flags

    return make


def whiten(vectors):
    """By the formula, of what the index keeps."""
    packed = np.load("white.xmir/whitening.npy").astype(np.float64)
    left = (np.asarray(vectors, np.float64) - packed[0]) @ packed[1:].T
    return left / np.linalg.norm(left, axis=1, keepdims=True)


def expected(query):
    rows = read_embeddings("e.parquet")
    ids = rows.items["id"].to_pylist()
    return dict(zip(ids, (whiten(rows.vectors) @ whiten(query[None])[0]).tolist(), strict=True))


def similarities(records):
    return {record["meta"]["id"]: record["similarity"] for record in records}


@pytest.mark.parametrize("network", ["pooled.py:average", "pooled.py:generalised"])
def test_image_id_and_vector_ask_alike_and_as_the_formula_says(xmir, make_index, network):
    make_index(network, 6)
    ask = ("query", "-i", "white.xmir", "--top", "8")
    own = read_embeddings("z.parquet").vectors[0]
    known = expected(own)
    by_image = xmir(*ask, "z.png").records()
    assert similarities(by_image) == pytest.approx(known, abs=1e-5)
    assert [r["meta"]["id"] for r in by_image] == sorted(known, key=known.get, reverse=True)
    np.save("z.npy", own)
    assert similarities(xmir(*ask, "--vector", "z.npy").records()) == pytest.approx(known, abs=1e-5)
    first = read_embeddings("e.parquet").vectors[0]
    by_id = similarities(xmir(*ask, "--id", "a.png").records())
    assert by_id == pytest.approx(expected(first), abs=1e-5)
    assert similarities(xmir(*ask, "a.png").records()) == pytest.approx(by_id, abs=1e-5)
    told = by_image[0]["model"]["whitening"]
    assert told["file"] == str(Path("white.xmir/whitening.npy").absolute())
    assert len(told["sha256"]) == 64
    assert "whitening" not in xmir("query", "z.png", "-i", "plain.xmir").records()[0]["model"]


def test_a_vector_of_the_index_own_length_is_refused(xmir, make_index):
    make_index("pooled.py:average", 6)
    np.save("v.npy", np.ones(3, np.float32))
    done = xmir("query", "-i", "white.xmir", "--vector", "v.npy")
    assert done.code == 5
    assert "v.npy: expected embeddings of 6 numbers, found an array of 1 x 3" in done.stderr


@pytest.mark.parametrize(
    ("network", "head"),
    [
        ("pooled.py:average", 6),
        ("pooled.py:average", None),
        ("pooled.py:largest", 6),
        ("pooled.py:opaque", None),
        ("tokens.py:class_token", None),
        ("tokens.py:class_token", 6),
    ],
)
@pytest.mark.parametrize("on", ["retrieved", "query"])
def test_places_sum_to_the_whitened_similarity(xmir, make_index, network, head, on):
    make_index(network, head)
    lines = xmir("query", "-i", "white.xmir", "z.png", "--top", "2").stdout
    done = xmir("saliency", "--method", "activation", "--on", on, stdin=lines)
    assert (done.code, done.stderr) == (0, "")
    for record in done.records():
        assert record["similarity_check"] == pytest.approx(record["similarity"], abs=1e-5)
        details = record["details"]
        assert details["residual"] == pytest.approx(0, abs=1e-5)
        told = details.get("prefix", 0) + details.get("rest", 0)
        places = details.get("places", record["similarity"])
        assert places + told == pytest.approx(record["similarity"], abs=1e-5)
        assert np.abs(np.load(record["saliency"])).max() > 0


def test_the_regions_of_a_query_add_up_to_the_whitened_similarity(xmir, make_index):
    make_index("pooled.py:average", 6)
    ask = ("query", "z.png", "-i", "white.xmir", "--top", "8")
    plain = similarities(xmir(*ask).records())
    halves = [
        {r["meta"]["id"]: r["relevance"] for r in xmir(*ask, "--region", region).records()}
        for region in ("0,0,20,32", "20,0,20,32")
    ]
    for name, whole in plain.items():
        assert halves[0][name] + halves[1][name] == pytest.approx(whole, abs=1e-4)


@pytest.mark.parametrize("method", ["gradcam", "occlusion", "bilrp", "attention"])
def test_other_methods_and_scores_are_of_the_whitened_network(xmir, make_index, method):
    make_index("pooled.py:average", 6)
    lines = xmir("query", "-i", "white.xmir", "z.png", "--top", "1").stdout
    maps = xmir("saliency", "--method", method, stdin=lines)
    assert maps.code == 0
    scored = xmir("causal-metric", stdin=maps.stdout)
    assert scored.code == 0, scored.stderr
    curve = scored.records()[0]
    assert curve["similarity"] == pytest.approx(json.loads(lines)["similarity"], abs=1e-6)


def test_a_sanity_check_randomises_the_network_and_keeps_the_whitening(xmir, make_index):
    make_index("pooled.py:average", 6)
    lines = xmir("query", "-i", "white.xmir", "z.png", "--top", "3").stdout
    maps = xmir("saliency", "--method", "activation", stdin=lines)
    done = xmir("sanity-check", "--method", "activation", stdin=maps.stdout)
    assert done.code in {0, 4}, done.stderr
    assert all(record["model"]["whitening"] for record in done.records())


def test_maps_of_the_plain_and_of_the_whitened_network_have_names_of_their_own(xmir, make_index):
    make_index("pooled.py:average", 6)
    files = set()
    for index in ("plain.xmir", "white.xmir"):
        line = xmir("query", "-i", index, "z.png", "--id", "a.png", "--top", "1").stdout
        one = line if isinstance(line, str) else line.decode()
        done = xmir("saliency", "--method", "activation", stdin=one.splitlines()[0] + "\n")
        files.add(done.records()[0]["saliency"].rsplit("-", 1)[1])
    assert len(files) == 2


@pytest.mark.parametrize(
    "asked", [("causal-metric", "--summary"), ("cluster", "--clusters", "1", "--summary")]
)
def test_maps_of_the_plain_and_of_the_whitened_network_are_told_apart(xmir, make_index, asked):
    make_index("pooled.py:average", 6)
    maps = ""
    for index in ("plain.xmir", "white.xmir"):
        lines = xmir("query", "-i", index, "z.png", "--top", "4").stdout
        maps += xmir("saliency", "--method", "activation", "--no-overlay", stdin=lines).stdout
    found = xmir(*asked, stdin=maps).records()
    assert len({record["variant"] for record in found}) == 2
    assert all("network" in record["variant"] for record in found)


def test_retrieval_metric_takes_the_index_and_plain_queries(xmir, make_index):
    make_index("pooled.py:average", 6)
    table = read_embeddings("e.parquet").items
    rows = "".join(
        f"{Path(p).name},{'xy'[i % 2]}\n" for i, p in enumerate(table["path"].to_pylist())
    )
    Path("t.csv").write_text("path,label\n" + rows)
    flags = ["--arch", f"{NETWORKS}/pooled.py:average", "--weights", "random:3", "--head", "6"]
    assert xmir("embed", "t.csv", *flags, "-o", "t.parquet").code == 0
    assert xmir("index", "t.parquet", "-o", "t.xmir", "--whiten", "3").code == 0
    (own,) = xmir("retrieval-metric", "t.xmir").records()
    assert own["model"]["whitening"]["sha256"]
    done = xmir("retrieval-metric", "t.parquet", "--gallery", "t.xmir")
    assert done.code == 0, done.stderr
    (asked,) = done.records()
    assert asked["model"] == own["model"]
    assert asked["map"] == pytest.approx(own["map"])
    other = xmir("retrieval-metric", "t.xmir", "--gallery", "t.parquet")
    assert other.code != 0
    assert "; whitened: the queries" in other.stderr


def test_info_tells_and_every_byte_is_checked(xmir, make_index):
    make_index("pooled.py:average", 6)
    (told,) = xmir("info", "white.xmir").records()
    assert told["whitening"]["dim"] == 6
    assert told["whitening"]["shrinkage"] == 0.3
    assert "whitening" not in xmir("info", "plain.xmir").records()[0]
    whole = Path("white.xmir/whitening.npy").read_bytes()
    Path("white.xmir/whitening.npy").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    done = xmir("query", "-i", "white.xmir", "z.png")
    assert done.code != 0
    assert "whitening" in done.stderr


def test_a_record_whose_index_was_built_again_is_refused(xmir, make_index):
    make_index("pooled.py:average", 6)
    lines = xmir("query", "-i", "white.xmir", "z.png", "--top", "1").stdout
    assert xmir("index", "e.parquet", "-o", "white.xmir", "--whiten", "2", "--force").code == 0
    done = xmir("saliency", stdin=lines)
    assert done.code != 0
    assert "not the recorded whitening" in done.stderr
    shutil.rmtree("white.xmir")
    assert "no such whitening of an index" in xmir("saliency", stdin=lines).stderr


def test_the_same_embeddings_give_the_same_bytes(xmir, make_index):
    make_index("pooled.py:average", 6)
    assert xmir("index", "e.parquet", "-o", "again.xmir", "--whiten", "3").code == 0
    for file in Path("white.xmir").iterdir():
        assert file.read_bytes() == (Path("again.xmir") / file.name).read_bytes()


def test_a_server_refuses_it_before_it_is_asked(xmir, make_index):
    make_index("pooled.py:average", 6)
    for url in ("qdrant://localhost:1/x", "postgresql://localhost:1/x?table=y"):
        done = xmir("index", "e.parquet", "-o", url, "--whiten", "3")
        assert (done.code, done.stdout) == (2, "")
        assert "--whiten 3: a server has no place for a whitening" in done.stderr


def test_the_whitener_is_what_the_index_names(make_index):
    make_index("pooled.py:average", 6)
    found = read_whitener(open_gallery("white.xmir").model.whitening)
    assert found.packed().tobytes() == np.load("white.xmir/whitening.npy").tobytes()
