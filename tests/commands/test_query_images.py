import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from xmir_cli.model.loader import load_embedder
from xmir_cli.pictures.reading import read_image
from xmir_cli.store.checkpoint import write_tensors
from xmir_cli.store.embeddings import Embeddings, write_embeddings
from xmir_cli.wire.model import ModelSpec, Preprocessing

NAMES = ["a", "b", "c", "d", "e"]
LABELS = ["ill", "ill", "well", "well", None]
PATIENTS = ["p", "p", "q", "r", None]


def _draw(name, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 4), dtype=np.uint8)
    image = Image.fromarray(pixels).resize((40, 32), Image.Resampling.NEAREST)
    image.save(f"{name}.png")


@pytest.fixture
def spec(tiny_arch):
    return ModelSpec(tiny_arch, "random:0", preprocessing=Preprocessing(32, 32))


@pytest.fixture
def index(xmir, spec):
    for seed, name in enumerate(NAMES):
        _draw(name, seed)
    embedder = load_embedder(spec, "cpu")
    images = [read_image(f"{name}.png", embedder.recipe).input for name in NAMES]
    files = [Path(f"{name}.png") for name in NAMES]
    items = pa.table(
        {
            "id": NAMES,
            "path": [str(file.absolute()) for file in files],
            "sha256": [hashlib.sha256(file.read_bytes()).hexdigest() for file in files],
            "width": pa.array([40] * 5, pa.int32()),
            "height": pa.array([32] * 5, pa.int32()),
            "label": pa.array(LABELS, pa.string()),
            "patient": pa.array(PATIENTS, pa.string()),
            "split": pa.array([None] * 5, pa.string()),
        }
    )
    vectors = embedder.embed(torch.stack(images)).numpy()
    write_embeddings(Path("e.parquet"), Embeddings(items, vectors, embedder.spec))
    assert xmir("index", "e.parquet", "-o", "e.xmir").code == 0
    return embedder


def _asked(result):
    return [(r["query"], r["meta"]["id"]) for r in result.records()]


@pytest.mark.usefixtures("index")
def test_an_indexed_image_finds_itself_and_inherits_its_label(xmir):
    shutil.copy("a.png", "copy.png")
    result = xmir("query", "copy.png")
    assert (result.code, result.stderr) == (0, "")
    records = result.records()
    assert len(records) == 5
    assert (records[0]["query"], records[0]["meta"]["id"]) == ("copy.png", "a")
    assert records[0]["similarity"] == pytest.approx(1, abs=1e-6)
    assert {r["query_label"] for r in records} == {"ill"}
    matches = {r["meta"]["id"]: r["match"] for r in records}
    assert matches == {"a": True, "b": True, "c": False, "d": False, "e": None}


@pytest.mark.usefixtures("index")
def test_a_new_image_has_no_label_and_no_match(xmir):
    _draw("new", 99)
    for record in xmir("query", "new.png", "--top", "2").records():
        assert (record["query_label"], record["match"]) == (None, None)


@pytest.mark.usefixtures("index")
def test_the_query_itself_and_its_patient_can_be_left_out(xmir):
    shutil.copy("a.png", "copy.png")
    found = {name for _, name in _asked(xmir("query", "copy.png", "--no-self"))}
    assert found == {"b", "c", "d", "e"}
    found = {name for _, name in _asked(xmir("query", "copy.png", "--exclude-same", "patient"))}
    assert found == {"c", "d", "e"}


@pytest.mark.usefixtures("index")
def test_a_manifest_says_label_and_patient_of_new_images(xmir):
    Path("new").mkdir()
    _draw("new/x", 99)
    Path("new/list.csv").write_text("path,id,label,patient\nx.png,first,well,q\n")
    records = xmir("query", "new/list.csv", "--exclude-same", "patient").records()
    assert {r["query"] for r in records} == {str(Path("new/x.png").absolute())}
    assert {r["query_label"] for r in records} == {"well"}
    assert {r["meta"]["id"] for r in records} == {"a", "b", "d", "e"}


@pytest.mark.usefixtures("index")
def test_queries_come_in_order_whatever_the_batch(xmir):
    paths = [f"{name}.png" for name in "cabed"]
    whole = xmir("query", *paths, "--top", "2").records()
    single = xmir("query", *paths, "--top", "2", "--batch", "1", "--jobs", "1").records()
    assert [r["query"] for r in whole] == [path for path in paths for _ in range(2)]
    for first, second in zip(whole, single, strict=True):
        assert first["similarity"] == pytest.approx(second.pop("similarity"), abs=1e-5)
        assert {key: first[key] for key in second} == second


@pytest.mark.usefixtures("index")
def test_paths_come_from_standard_input(xmir):
    assert _asked(xmir("query", "-", "--top", "1", stdin="b.png\na.png\n")) == [
        ("b.png", "b"),
        ("a.png", "a"),
    ]
    assert _asked(xmir("query", "-", "-0", "--top", "1", stdin="b.png\0a.png\0")) == [
        ("b.png", "b"),
        ("a.png", "a"),
    ]


@pytest.mark.usefixtures("index")
def test_unreadable_images_are_skipped_and_counted(xmir):
    Path("text.png").write_text("no image")
    result = xmir("query", "text.png", "a.png", "gone.png", "--top", "1")
    assert result.code == 3
    assert _asked(result) == [("a.png", "a")]
    assert "skipped text.png: not-an-image" in result.stderr
    assert "skipped gone.png: missing" in result.stderr
    assert result.stderr.endswith("1 answered, 2 skipped (1 not-an-image, 1 missing)\n")
    result = xmir("query", "text.png", "gone.png")
    assert (result.code, result.stdout) == (5, "")
    assert result.stderr.endswith("none of 2 queries could be used; nothing was written\n")


@pytest.mark.usefixtures("index")
def test_images_ids_and_vectors_are_asked_in_this_order(xmir, index):
    np.save("q.npy", np.eye(index.dim, dtype=np.float32)[0])
    result = xmir("query", "--vector", "q.npy", "--id", "c", "a.png", "--top", "1")
    names = [record["query"] for record in result.records()]
    assert names == ["a.png", str(Path("c.png").absolute()), "q.npy"]


def test_weights_may_lie_elsewhere_but_must_be_the_same(xmir, index, spec):
    metadata = {"xmir.model": json.dumps(index.spec.to_json())}
    write_tensors(Path("same.safetensors"), index.network.state_dict(), metadata)
    result = xmir("query", "a.png", "--model", "same.safetensors", "--top", "1")
    assert result.code == 0
    (record,) = result.records()
    assert record["model"]["weights"] == str(Path("same.safetensors").absolute())
    assert record["similarity"] == pytest.approx(1, abs=1e-6)

    other = load_embedder(replace(spec, weights="random:1"), "cpu")
    write_tensors(Path("other.safetensors"), other.network.state_dict(), metadata)
    result = xmir("query", "a.png", "--model", "other.safetensors", "--top", "1")
    assert (result.code, result.stdout) == (6, "")
    assert "not the recorded weights" in result.stderr


def test_an_image_without_an_embedding_is_skipped(xmir, index, monkeypatch):
    def blank(_self, images, _):
        return torch.zeros(len(images), index.dim)

    monkeypatch.setattr(type(index), "embed", blank)
    result = xmir("query", "a.png")
    assert result.code == 5
    assert "skipped a.png: bad-vector: its embedding is zero, NaN or infinite" in result.stderr


@pytest.mark.usefixtures("index")
def test_examples_may_be_images_of_ones_own(xmir):
    _draw("new", 99)
    (first, *_) = xmir("query", "--like", "new.png", "--unlike", "a").records()
    assert (first["query"], first["unlike"]) == ("new.png", [str(Path("a.png").absolute())])
    records = xmir("query", "new.png", "--like", "a", "--top", "9").records()
    assert {r["meta"]["id"] for r in records} == {"b", "c", "d", "e"}
    result = xmir("query", "new.png", "--like", "gone")
    assert (result.code, result.stdout) == (2, "")
    assert "gone: neither an id of the index nor a usable image (missing" in result.stderr


@pytest.mark.usefixtures("index")
def test_a_chosen_image_that_is_not_indexed_is_read_from_its_file(xmir):
    _draw("new", 99)
    typed = xmir("query", "--id", "a", "--like", "new.png").records()
    (chosen,) = xmir("query", "new.png", "--top", "1").records()
    record = {"retrieved": "new.png", "retrieved_identity": chosen["query_identity"]}
    for given in (json.dumps(record), "new.png", json.dumps({"path": "new.png"})):
        assert xmir("query", "--id", "a", "--like", "-", stdin=given).records() == typed
    _draw("new", 98)
    result = xmir("query", "--id", "a", "--like", "-", stdin=json.dumps(record))
    assert (result.code, result.stdout) == (2, "")
    assert "--like new.png (line 1): neither an item of the index nor a usable" in result.stderr
    assert "changed: another image than when the record was made" in result.stderr
