"""`xmir saliency` with what the records' own index lends."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

LABELS = {"a": "flu", "b": "flu", "c": "flu", "d": "normal", "e": "normal", "f": ""}


@pytest.fixture
def network(tiny_arch):
    return ("--arch", tiny_arch, "--weights", "random:1")


@pytest.fixture
def index(xmir, network):
    """Five labelled images and one without, indexed."""
    lines = ["path,label"]
    for seed, (name, label) in enumerate(LABELS.items()):
        coarse = np.random.default_rng(seed).integers(0, 255, (5, 6), dtype=np.uint8)
        Image.fromarray(coarse).resize((96, 80), Image.Resampling.BICUBIC).save(f"{name}.png")
        lines.append(f"{name}.png,{label}")
    Path("labels.csv").write_text("\n".join(lines) + "\n")
    assert xmir("embed", "labels.csv", *network, "-o", "e.parquet").code == 0
    assert xmir("index", "e.parquet", "-o", "e.xmir").code == 0
    return "e.xmir"


@pytest.fixture
def records(xmir, index):
    """All others, nearest first, as a.png finds them."""
    found = xmir("query", "a.png", "--index", index, "--top", "6", "--no-self")
    return found.records()


def jsonl(records):
    return "".join(f"{json.dumps(record)}\n" for record in records)


def names(paths):
    return [path.rpartition("/")[2] for path in paths]


def of_label(records, label):
    return [record for record in records if record["retrieved_label"] == label]


TRIPLET = ("saliency", "--method", "attention", "--tuple", "triplet", "--negative", "auto")


def test_auto_negative_is_the_best_ranked_of_another_label(xmir, records):
    best = {label: of_label(records, label)[0]["retrieved"] for label in ("flu", "normal")}
    found = xmir(*TRIPLET, stdin=jsonl(of_label(records, "flu"))).records()
    assert [record["negatives"] for record in found] == [[best["normal"]]] * 2
    found = xmir(*TRIPLET, stdin=jsonl(of_label(records, "normal"))).records()
    assert [record["negatives"] for record in found] == [[best["flu"]]] * 2  # never a.png itself


@pytest.mark.usefixtures("index")
def test_auto_negative_shares_no_label(xmir, network):
    text = Path("labels.csv").read_text()
    for name, label in LABELS.items():
        text = text.replace(f"{name}.png,{label}", f"{name}.png,{label and 'x|' + label}")
    [last] = [line for line in text.splitlines() if line.startswith("f.png")]
    Path("labels.csv").write_text(text.replace(last, "f.png,normal"))
    assert xmir("embed", "labels.csv", *network, "-o", "x.parquet").code == 0
    assert xmir("index", "x.parquet", "-o", "x.xmir").code == 0
    found = xmir("query", "a.png", "--index", "x.xmir", "--top", "6", "--no-self").records()
    hit = next(record for record in found if record["retrieved_label"] == "x|flu")
    [record] = xmir(*TRIPLET, stdin=jsonl([hit])).records()
    assert names(record["negatives"]) == ["f.png"]


def test_auto_negative_makes_the_map_of_the_same_image_named(xmir, records):
    line = jsonl(of_label(records, "flu")[:1])
    [auto] = xmir(*TRIPLET, stdin=line).records()
    [named] = xmir(*TRIPLET[:-1], auto["negatives"][0], stdin=line).records()
    assert auto["saliency"] == named["saliency"]
    assert named["negatives"] == auto["negatives"]


def test_auto_twice_is_the_best_two_and_goes_with_a_named_one(xmir, records):
    line = jsonl(of_label(records, "flu")[:1])
    normal = [record["retrieved"] for record in of_label(records, "normal")]
    flags = ("saliency", "--method", "attention", "--tuple", "quadruplet")
    twice = xmir(*flags, "--negative", "auto", "--negative", "auto", stdin=line).records()
    assert twice[0]["negatives"] == normal
    mixed = xmir(*flags, "--negative", "f.png", "--negative", "auto", stdin=line).records()
    assert names(mixed[0]["negatives"]) == names(["f.png", normal[0]])


def test_auto_negative_without_labels_or_index_skips_the_record(xmir, records):
    unlabelled = [record for record in records if names([record["retrieved"]]) == ["f.png"]]
    nowhere = [{key: value for key, value in records[0].items() if key != "index"}]
    gone = [{**records[0], "index": "gone.xmir"}]
    elsewhere = [{**records[0], "index": "redis://host"}]
    result = xmir(*TRIPLET, stdin=jsonl([*unlabelled, *nowhere, *gone, *elsewhere]))
    assert result.code == 5
    assert "skipped line 1: no-negative: retrieved_label: expected a string" in result.stderr
    assert "skipped line 2: bad-record: index: expected the path" in result.stderr
    assert "skipped line 3: bad-record: index: gone.xmir: not an xmir index" in result.stderr
    assert "skipped line 4: bad-record: index: redis://...: unknown kind" in result.stderr


def test_too_few_of_another_label_is_said(xmir, records):
    flags = [part for _ in range(3) for part in ("--negative", "auto")]
    line = jsonl(of_label(records, "flu")[:1])
    result = xmir("saliency", "--method", "attention", "--tuple", "triplet", *flags, stdin=line)
    assert result.code == 5
    assert "have another label than flu, 3 are needed" in result.stderr


def test_weights_come_from_the_index_of_the_record(xmir, records):
    flags = ("saliency", "--method", "weight-transfer", "--on", "both")
    first, *_ = found = xmir(*flags, stdin=jsonl(records)).records()
    assert len(found) == 10
    assert len(first["settings"]["gallery"]) == 64
    assert float(np.load(first["saliency"]).max()) > 0
    # the map does not depend on the other image of the pair
    queries = [np.load(record["saliency"]) for record in found if record["explains"] == "query"]
    assert all(np.array_equal(queries[0], other) for other in queries)


def test_other_index_other_map_file(xmir, records, network):
    flags = ("saliency", "--method", "weight-transfer")
    [first] = xmir(*flags, stdin=jsonl(records[:1])).records()
    Path("labels.csv").write_text(Path("labels.csv").read_text() + "g.png,normal\n")
    shutil.copy("e.png", "g.png")
    assert xmir("embed", "labels.csv", *network, "-o", "more.parquet").code == 0
    assert xmir("index", "more.parquet", "-o", "more.xmir").code == 0
    [second] = xmir(*flags, stdin=jsonl([{**records[0], "index": "more.xmir"}])).records()
    assert first["saliency"] != second["saliency"]


@pytest.mark.usefixtures("index")
def test_pair_without_records_has_no_gallery(xmir, network):
    result = xmir(
        "saliency", "--method", "weight-transfer", "--query", "a.png", "--image", "b.png", *network
    )
    assert result.code == 2
    assert (
        "Only 'xmir saliency' lends one: the index that records of 'xmir query' name."
        in result.stderr
    )


def test_query_that_found_itself_is_told_apart_too(xmir, index):
    found = xmir("query", "a.png", "--index", index, "--top", "1")
    assert names([found.records()[0]["retrieved"]]) == ["a.png"]
    result = xmir(*TRIPLET, stdin=found.stdout)
    assert result.code == 0
    [record] = result.records()
    assert names(record["negatives"])[0] in {"d.png", "e.png"}


@pytest.mark.parametrize("flags", [TRIPLET[1:], ("--method", "activation", "--contrast", "f.png")])
@pytest.mark.parametrize("on", ["retrieved", "query"])
def test_random_model_control_is_told_apart_as_the_map_was(xmir, records, flags, on):
    """The control for the trained weights' own seed is the map itself, so both score the same."""
    line = jsonl(of_label(records, "flu")[:1])
    maps = xmir("saliency", *flags, "--on", on, stdin=line).stdout
    score = ("causal-metric", "--curve-steps", "6", "--control", "random-model", "--seed", "1")
    result = xmir(*score, stdin=maps)
    assert result.code == 0, result.stderr
    [record] = result.records()
    assert record["insertion_control"]["random-model"] == pytest.approx(record["insertion"])
    assert record["deletion_control"]["random-model"] == pytest.approx(record["deletion"])


@pytest.mark.parametrize("flags", [TRIPLET[1:], ("--contrast", "label")])
def test_a_pair_that_is_named_comes_from_no_index(xmir, flags):
    done = xmir("saliency", "--query", "a.png", "--image", "b.png", "--arch", "resnet18", *flags)
    assert done.code == 2
    assert ": a pair that is named " in done.stderr.splitlines()[0]
    assert done.stderr.splitlines()[1].startswith("xmir: hint: Name an image")
