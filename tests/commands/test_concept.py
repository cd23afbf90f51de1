"""`xmir concept fit`: a direction from examples."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from xmir_cli.model.loader import load_embedder
from xmir_cli.pictures.reading import read_image
from xmir_cli.store.concepts import read_concept
from xmir_cli.store.embeddings import Embeddings, write_embeddings
from xmir_cli.wire.model import ModelSpec

MODEL = ModelSpec("tiny", "random:0", weights_sha256="ab" * 32)
COUNT, DIM = 30, 6


def _items(count, labels, patients):
    return pa.table(
        {
            "id": [f"i{each}" for each in range(count)],
            "path": [f"/pictures/{each}.png" for each in range(count)],
            "sha256": [f"{each:064x}" for each in range(count)],
            "width": pa.array([64] * count, pa.int32()),
            "height": pa.array([48] * count, pa.int32()),
            "label": pa.array(labels, pa.string()),
            "patient": pa.array(patients, pa.string()),
        }
    )


def _vectors(seed=0, shift=2.0):
    vectors = np.random.default_rng(seed).normal(size=(COUNT, DIM))
    vectors[: COUNT // 2, 1] += shift
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def index(xmir):
    labels = ["ill"] * (COUNT // 2) + ["well"] * (COUNT // 2)
    patients = [f"p{each // 2}" for each in range(COUNT)]
    write_embeddings(
        Path("e.parquet"), Embeddings(_items(COUNT, labels, patients), _vectors(), MODEL)
    )
    assert xmir("index", "e.parquet", "-o", "e.xmir").code == 0
    return "e.xmir"


FLAGS = ["--positive", "label=ill", "--negative", "label=well", "-o", "c.npy"]


@pytest.mark.usefixtures("index")
def test_a_direction_leads_from_the_one_mean_to_the_other(xmir):
    result = xmir("concept", "fit", *FLAGS)
    assert (result.code, result.stderr) == (0, "")
    (record,) = result.records()
    vectors = _vectors().astype(np.float64)
    apart = vectors[:15].mean(0) - vectors[15:].mean(0)
    direction = apart / np.linalg.norm(apart)
    assert np.load("c.npy") == pytest.approx(direction, abs=1e-6)
    assert record["apart"] == pytest.approx(np.linalg.norm(apart), abs=1e-6)
    assert (record["positive"], record["negative"], record["units"]) == (15, 15, 15)
    assert record["p"] < 0.01
    assert record["auroc"] > 0.8
    told = json.loads(Path("c.json").read_text())
    assert told["model"] == record["model"] == MODEL.to_json()
    assert np.load("c.shuffled.npy").shape == (1000, DIM)
    assert read_concept("c.npy").read_shuffled().shape == (1000, DIM)


@pytest.mark.usefixtures("index")
def test_the_same_examples_give_the_same_bytes(xmir):
    xmir("concept", "fit", *FLAGS)
    first = [Path(name).read_bytes() for name in ("c.npy", "c.json", "c.shuffled.npy")]
    assert xmir("concept", "fit", *FLAGS).code == 7
    assert xmir("concept", "fit", *FLAGS, "--force").code == 0
    assert [Path(name).read_bytes() for name in ("c.npy", "c.json", "c.shuffled.npy")] == first


@pytest.mark.usefixtures("index")
def test_chance_and_folds_are_the_same_whatever_the_order_of_the_examples(xmir):
    ids = [f"i{row}" for row in range(COUNT)]
    found = []
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(COUNT).tolist()
        flags = [
            flag
            for row in order
            for flag in ("--positive" if row < COUNT // 2 else "--negative", ids[row])
        ]
        (record,) = xmir("concept", "fit", *flags, "-o", f"{seed}.npy").records()
        found.append((record["p"], record["auroc"], np.load(f"{seed}.shuffled.npy").tobytes()))
    assert found == found[:1] * 3


@pytest.mark.usefixtures("index")
def test_ids_embeddings_and_records_are_examples_too(xmir):
    wanted = [np.load(each) for each in _fit_all(xmir)]
    for each in wanted[1:]:
        assert each == pytest.approx(wanted[0], abs=1e-6)


def _fit_all(xmir):
    ids = {"ill": range(15), "well": range(15, 30)}
    flags = [["--positive", f"i{each}"] for each in ids["ill"]]
    flags += [["--negative", f"i{each}"] for each in ids["well"]]
    assert xmir("concept", "fit", *(x for each in flags for x in each), "-o", "a.npy").code == 0
    for label, rows in ids.items():
        labels, names = [label] * 15, [f"p{each // 2}" for each in rows]
        items = _items(30, [None] * 30, [None] * 30).slice(rows[0], 15)
        items = items.set_column(5, "label", pa.array(labels, pa.string()))
        items = items.set_column(6, "patient", pa.array(names, pa.string()))
        write_embeddings(
            Path(f"{label}.parquet"), Embeddings(items, _vectors()[rows[0] : rows[0] + 15], MODEL)
        )
    both = ["--positive", "ill.parquet", "--negative", "well.parquet"]
    assert xmir("concept", "fit", *both, "-o", "b.npy", "-i", "nowhere.xmir").code == 0
    hits = xmir("query", "--id", "i0", "--top", "30").stdout.splitlines()
    ill = [each for each in hits if json.loads(each)["retrieved_label"] == "ill"]
    Path("well.jsonl").write_text("\n".join(set(hits) - set(ill)))
    mixed = ["--positive", "-", "--negative", "well.jsonl", "-o", "d.npy"]
    assert xmir("concept", "fit", *mixed, stdin="\n".join(ill)).code == 0
    return ["a.npy", "b.npy", "d.npy"]


@pytest.fixture
def pictures(tmp_path):
    random = np.random.default_rng(0)
    for kind, value in (("bright", 200), ("dark", 60)):
        Path(kind).mkdir()
        for each in range(4):
            pixels = random.integers(value - 40, value + 40, (32, 32), np.uint8)
            Image.fromarray(pixels).save(f"{kind}/{each}.png")
    return tmp_path


@pytest.mark.usefixtures("pictures")
def test_images_need_a_network_and_no_index(xmir, tiny_arch):
    flags = ["--arch", tiny_arch, "--weights", "random:3", "--device", "cpu"]
    both = ["--positive", "bright", "--negative", "dark/*.png"]
    result = xmir("concept", "fit", *both, *flags, "-o", "c.npy")
    assert (result.code, result.stderr) == (0, "")
    concept = read_concept("c.npy")
    embedder = load_embedder(concept.model, "cpu")
    means = []
    for kind in ("bright", "dark"):
        paths = sorted(str(each) for each in Path(kind).iterdir())
        inputs = [read_image(each, embedder.recipe).input[None] for each in paths]
        means.append(np.mean([embedder.embed(each)[0].numpy() for each in inputs], axis=0))
    apart = means[0] - means[1]
    assert concept.direction == pytest.approx(apart / np.linalg.norm(apart), abs=1e-5)


@pytest.mark.usefixtures("pictures")
def test_images_are_embedded_by_the_network_of_the_index(xmir, tiny_arch):
    flags = ["--arch", tiny_arch, "--weights", "random:3", "--device", "cpu"]
    xmir("embed", "bright", "dark", *flags, "-o", "e.parquet")
    xmir("index", "e.parquet", "-o", "e.xmir")
    both = ["--positive", "bright", "--negative", "dark"]
    assert xmir("concept", "fit", *both, *flags, "-o", "named.npy").code == 0
    assert xmir("concept", "fit", *both, "--device", "cpu", "-o", "c.npy").code == 0
    assert np.load("c.npy") == pytest.approx(np.load("named.npy"), abs=1e-6)


def _refused(xmir, *flags, stdin=None):
    result = xmir("concept", *flags, stdin=stdin)
    return result.code, result.stderr.splitlines()[0].removeprefix("xmir: error: ")


@pytest.mark.usefixtures("index")
def test_what_makes_no_concept_is_refused_in_one_line(xmir):
    assert _refused(xmir, "fit", "--positive", "label=ill") == (
        2,
        "a concept needs --positive and --negative examples",
    )
    assert _refused(xmir, "find", *FLAGS) == (2, "concept: expected fit, found find")
    assert _refused(xmir, "fit", "b.png", *FLAGS)[1] == "b.png: which kind of example is it?"
    assert (
        _refused(xmir, "fit", *FLAGS[:-1], "c.txt")
        == (
            2,
            "-o c.txt: a direction is written, and the name ends with .txt",
        )
        or _refused(xmir, "fit", *FLAGS[:-1], "c.txt")[0] == 2
    )
    assert _refused(xmir, "fit", "--positive", "label=none", *FLAGS[2:]) == (
        2,
        f"--positive label=none: no item of {Path('e.xmir').absolute()} has it",
    )
    assert _refused(xmir, "fit", "--positive", "lable=ill", *FLAGS[2:])[1].startswith(
        "--positive: no column 'lable'; there are id, path"
    )
    assert _refused(xmir, "fit", "--positive", "i20", *FLAGS) == (
        2,
        "--negative i20: is a positive example, too",
    )
    assert _refused(xmir, "fit", "--positive", "-", "--negative", "-")[0] == 2
    both = ["--positive", "i0", "--negative", "i1", "-o", "c.npy"]
    copies = _vectors()
    copies[1] = copies[0]
    items = _items(COUNT, ["x"] * COUNT, ["y"] * COUNT)
    write_embeddings(Path("same.parquet"), Embeddings(items, copies, MODEL))
    xmir("index", "same.parquet", "-o", "same.xmir")
    assert _refused(xmir, "fit", *both, "-i", "same.xmir") == (
        5,
        "the positive and the negative examples do not differ",
    )


@pytest.mark.usefixtures("index")
def test_embeddings_of_two_models_make_no_direction(xmir):
    other = ModelSpec("tiny", "random:1", weights_sha256="cd" * 32)
    labels = ["ill"] * COUNT
    write_embeddings(
        Path("o.parquet"), Embeddings(_items(COUNT, labels, labels), _vectors(), other)
    )
    assert _refused(xmir, "fit", "--positive", "label=ill", "--negative", "o.parquet") == (
        5,
        f"o.parquet: embedded by another model than {Path('e.xmir').absolute()}",
    )


@pytest.mark.usefixtures("index")
def test_few_examples_are_said_to_tell_little(xmir):
    result = xmir("concept", "fit", "--positive", "i0", "--negative", "i20", "-o", "c.npy")
    assert result.code == 0
    assert "can be shuffled in 2 ways only, so that no p lies far below 0.5" in result.stderr
    assert result.records()[0]["p"] > 0.4
    assert "auroc" not in result.records()[0]


@pytest.mark.usefixtures("index")
def test_few_shuffles_of_many_examples_are_no_fault_of_the_examples(xmir):
    asked = ["--positive", "label=ill", "--negative", "label=well", "--permutations", 19]
    result = xmir("concept", "fit", *asked, "-o", "c.npy")
    assert (result.code, result.stderr) == (0, "")


@pytest.mark.usefixtures("index")
def test_examples_that_cannot_be_read_are_left_out(xmir, tiny_arch):
    Path("empty.png").touch()
    Image.new("L", (32, 32), 9).save("a.png")
    Image.new("L", (32, 32), 200).save("b.png")
    both = ["--positive", "a.png", "--positive", "empty.png", "--negative", "b.png"]
    flags = ["--arch", tiny_arch, "--weights", "random:3", "--device", "cpu", "-o", "c.npy"]
    result = xmir("concept", "fit", *both, *flags)
    assert result.code == 3
    assert "skipped empty.png: empty" in result.stderr
    assert result.records()[0]["skipped"] == 1


@pytest.mark.usefixtures("index")
def test_logistic_regression_is_a_direction_too(xmir):
    pytest.importorskip("sklearn")
    result = xmir("concept", "fit", *FLAGS, "--method", "logistic", "--permutations", "19")
    (record,) = result.records()
    assert (record["method"], record["permutations"]) == ("logistic", 19)
    means = _vectors()[:15].mean(0) - _vectors()[15:].mean(0)
    assert np.load("c.npy") @ means / np.linalg.norm(means) > 0.8


@pytest.mark.usefixtures("index")
def test_info_tells_what_a_concept_is(xmir):
    xmir("concept", "fit", *FLAGS)
    (record,) = xmir("info", "c.npy").records()
    assert (record["kind"], record["made_by"]["positive"]) == ("concept", 15)
    refused = xmir("info", "c.json")
    assert (refused.code, "belongs to the concept c.npy beside it" in refused.stderr) == (5, True)
