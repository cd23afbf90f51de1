"""`xmir query --vote`, `--novelty`, `--min-similarity`, beside naive loops."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from xmir_cli.retrieval import evidence
from xmir_cli.store.embeddings import Embeddings, write_embeddings
from xmir_cli.wire.model import ModelSpec

MODEL = ModelSpec("tiny", "random:0", weights_sha256="ab" * 32)
PATIENTS, DIM = 40, 6


def _made(patients, seed, spread=0.5):
    """One to three images of each patient, whose label is where it lies; labels and patients."""
    random = np.random.default_rng(seed)
    middles = np.eye(DIM)[:2]
    vectors, labels, names = [], [], []
    for patient in range(patients):
        kind = int(random.integers(2))
        own = middles[kind] + spread * random.normal(size=DIM)
        for _ in range(int(random.integers(1, 4))):
            vectors.append(own + 0.1 * random.normal(size=DIM))
            labels.append("ill" if kind else "well")
            names.append(f"p{patient}")
    vectors = np.array(vectors)
    return (
        (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32),
        labels,
        names,
    )


def _index(xmir, vectors, labels, patients, name="e"):
    count = len(vectors)
    items = pa.table(
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
    write_embeddings(Path(f"{name}.parquet"), Embeddings(items, vectors, MODEL))
    assert xmir("index", f"{name}.parquet", "-o", f"{name}.xmir").code == 0


@pytest.fixture
def index(xmir):
    made = _made(PATIENTS, 0)
    _index(xmir, *made)
    return made


def _near(made, row, k=10):
    """The nearest rows of other patients, by a loop."""
    vectors, _, patients = made
    own = vectors[row].astype(np.float64)
    others = [each for each in range(len(vectors)) if patients[each] != patients[row]]
    return sorted(others, key=lambda each: -float(vectors[each].astype(np.float64) @ own))[:k]


def test_votes_are_those_of_other_patients_under_the_rule_that_is_told(xmir, index):
    vectors, labels, _ = index
    result = xmir("query", "--id", "i3", "--id", "i7", "--top", 1, "--vote", "label")
    assert (result.code, result.stderr) == (0, "")
    for row, record in zip((3, 7), result.records(), strict=True):
        assert record["meta"]["id"] == f"i{row}"  # hits are what they were
        told = record["vote_by"]
        near = _near(index, row)
        similarities = np.array([vectors[each].astype(np.float64) @ vectors[row] for each in near])
        weights = np.exp((similarities - similarities.max()) / told["temperature"])
        weights /= weights.sum()
        share = sum(w for w, each in zip(weights, near, strict=True) if labels[each] == "ill")
        found = {}  # the frequencies
        for name, agreed in (("ill", share), ("well", 1 - share)):
            found[name] = (record["vote"][name] - (1 - told["doubt"]) * agreed) / told["doubt"]
        assert found["ill"] * told["fitted_to"] == pytest.approx(round(found["ill"] * 20), abs=1e-4)
        assert sum(found.values()) == pytest.approx(1)
        assert sum(record["vote"].values()) == pytest.approx(1)
        assert set(record["vote_set"]) <= {"ill", "well"}
        assert told["fitted_to"] + told["held_out"] == PATIENTS


def test_novelty_is_a_percentile_of_distances_that_leave_the_patient_out(xmir, index):
    vectors = index[0]
    np.save("far.npy", -vectors.mean(axis=0))
    records = xmir("query", "--all", "--top", 1, "--novelty").records()
    distances = {
        row: np.mean(
            [1 - vectors[each].astype(np.float64) @ vectors[row] for each in _near(index, row)]
        )
        for row in range(len(vectors))
    }
    order = sorted(distances, key=distances.get)
    found = [records[row]["novelty"] for row in order]
    assert found == sorted(found)
    assert 0.35 < np.mean(found) < 0.65
    (far,) = xmir("query", "--vector", "far.npy", "--top", 1, "--novelty").records()
    assert far["novelty"] == 1.0
    assert far["remark"].startswith(
        "unlike the images of the index: 40 of 40 of its own are nearer"
    )
    (voted,) = xmir("query", "--vector", "far.npy", "--top", 1, "--vote", "label").records()
    assert voted["remark"] == far["remark"]
    assert "novelty" not in voted


def test_hits_below_a_similarity_are_left_out_and_none_is_said(xmir, index):
    vectors = index[0].astype(np.float64)
    least = float(np.sort(vectors @ vectors[3])[-4]) - 1e-9
    flags = ["--id", "i3", "--top", 30, "--min-similarity", least]
    records = xmir("query", *flags).records()
    assert [each["rank"] for each in records] == [1, 2, 3, 4]
    assert min(each["similarity"] for each in records) >= least
    np.save("far.npy", -vectors.mean(axis=0))
    result = xmir("query", "--vector", "far.npy", "--min-similarity", 0.999, "--novelty")
    assert (result.code, result.stderr) == (0, "")
    (none,) = result.records()
    assert (none["answer"], "retrieved" in none, "rank" in none) == ("none", False, False)
    assert none["remark"].startswith("no image is as similar as 0.999; the nearest is at ")
    assert "unlike the images of the index" in none["remark"]
    assert none["nearest"] < 0.999
    table = xmir("query", "--vector", "far.npy", "--min-similarity", 0.999, "--format", "csv")
    assert "no image is as similar as 0.999" in table.stdout
    assert (
        xmir("query", "--vector", "far.npy", "--min-similarity", 0.999, "--format", "paths").stdout
        == ""
    )


@pytest.mark.parametrize(
    ("flags", "top", "key"),
    [
        (["--like", "i9"], 3, "relevance"),
        (["--like", "i9", "--unlike", "i20"], 1, "relevance"),
        (["--rerank", "20"], 1, "rerank_distance"),
    ],
)
def test_of_hits_in_another_order_no_more_is_said_than_is_known(xmir, index, flags, top, key):
    vectors = index[0].astype(np.float64)
    asked = ["--id", "i3", "--no-self", *flags, "--top", top]
    shown = xmir("query", *asked).records()
    assert all(key in each for each in shown)
    best = max(each["similarity"] for each in shown)
    (none,) = xmir("query", *asked, "--min-similarity", best + 1e-9).records()
    who = "the hit is not" if top == 1 else "none of the 3 hits is"
    assert (
        none["remark"] == f"{who} as similar as {best + 1e-9:g}: {best:.4f} at most; others may be"
    )
    assert none["nearest"] == best
    others = np.delete(vectors @ vectors[3], [3, 9, 20])
    assert others.max() >= best - 1e-6


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize(
    "command",
    [["saliency"], ["causal-metric"], ["montage", "-o", "m.png"], ["query", "--like", "-"]],
)
def test_a_record_without_a_retrieved_image_is_left_out_by_the_next_command(xmir, command):
    np.save("far.npy", -np.eye(DIM, dtype=np.float32)[0])
    none = xmir("query", "--vector", "far.npy", "--min-similarity", 0.999).stdout
    result = xmir(*command, stdin=none)
    assert result.code == 5
    assert "Traceback" not in result.stderr
    assert "error" in result.stderr
    if command[0] in {"saliency", "montage"}:
        assert "skipped line 1: no-answer: no image is as similar as 0.999" in result.stderr


@pytest.mark.usefixtures("index")
def test_conditions_hold_for_votes_too(xmir):
    flags = ["--id", "i3", "--top", 1, "--vote", "label", "--neighbors", 5]
    (plain,) = xmir("query", *flags).records()
    (same,) = xmir("query", *flags, "--exclude-same", "patient", "--per", "patient=1").records()
    assert same["vote"] == plain["vote"]
    refused = xmir("query", *flags, "--where", "label=ill")
    assert refused.code == 2
    told = "--vote: the images that may be found, one of each patient, have no two values of label"
    assert told in refused.stderr


def test_votes_on_images_of_one_patient_are_refused_for_that(xmir):
    vectors, labels, _ = _made(PATIENTS, 0)
    assert len(set(labels)) == 2
    _index(xmir, vectors, labels, ["p"] * len(labels))
    refused = xmir("query", "--id", "i3", "--vote", "label")
    assert refused.code == 2
    assert "--vote: no two patients of the index have a label, so that none" in refused.stderr


@pytest.mark.usefixtures("index")
def test_what_moved_the_query_does_not_move_the_votes(xmir):
    flags = ["--id", "i3", "--top", 1, "--vote", "label", "--novelty"]
    (plain,) = xmir("query", *flags).records()
    (moved,) = xmir("query", *flags, "--unlike", "i20").records()
    assert moved["vote_by"]["neighbors"] == 10
    assert moved["novelty"] == pytest.approx(plain["novelty"], abs=0.1)


@pytest.mark.usefixtures("index")
def test_large_indexes_are_judged_by_a_sample_that_is_said(xmir, monkeypatch):
    monkeypatch.setattr(evidence, "SAMPLE", 20)
    monkeypatch.setattr(evidence, "_DRAWN", 2)
    flags = ["query", "--id", "i3", "--top", 1, "--vote", "label"]
    one, other = xmir(*flags), xmir(*flags)
    assert one.stdout == other.stdout
    assert "a sample of the" in one.stderr
    told = one.records()[0]["vote_by"]
    assert told["fitted_to"] + told["held_out"] <= 20


@pytest.mark.usefixtures("index")
def test_what_cannot_be_judged_is_refused_in_one_line(xmir):
    def refused(*flags):
        result = xmir("query", "--id", "i3", *flags)
        return result.code, result.stderr.splitlines()[0].removeprefix("xmir: error: ")

    assert refused("--vote", "lable")[1].startswith("--vote: no column 'lable'; there are id, path")
    for column in ("patient", "id", "sha256"):  # that no two patients share
        said = f"--vote: no image of the index has a neighbour of its own {column}"
        assert refused("--vote", column) == (2, said)
    assert refused("--neighbors", "5") == (2, "--neighbors: only with --vote or --novelty")
    assert refused("--coverage", "0.8", "--novelty") == (2, "--coverage: only with --vote")
    assert refused("--min-similarity", "2")[0] == 2
    assert refused("--coverage", "1")[0] == 2
    assert refused("--neighbors", "0")[0] == 2


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_sets_hold_the_label_of_new_patients_as_often_as_is_asked(xmir, seed):
    vectors, labels, patients = _made(320, seed, spread=0.9)
    known = [int(name[1:]) < 160 for name in patients]
    rows = np.flatnonzero(known)
    _index(xmir, vectors[rows], [labels[r] for r in rows], [patients[r] for r in rows])
    new = np.flatnonzero(~np.array(known))
    np.save("new.npy", vectors[new])
    flags = ["--vector", "new.npy", "--top", 1, "--vote", "label", "--coverage", 0.8]
    records = xmir("query", *flags).records()
    held = {}
    for row, record in zip(new, records, strict=True):
        held.setdefault(patients[row], []).append(labels[row] in record["vote_set"])
    coverage = np.mean([np.mean(each) for each in held.values()])
    assert 0.8 - 0.12 < coverage < 0.8 + 0.12  # of 160 patients, and a bound by 80: 3 errors


def test_labels_that_no_sampled_image_has_are_voted_for(xmir, monkeypatch):
    """Twelve images of rare labels beside many others: a sample has none of them."""
    vectors, labels, patients = _made(60, 3)
    random = np.random.default_rng(9)
    rare = -np.eye(DIM)[[0] * 12] + 0.05 * random.normal(size=(12, DIM))
    vectors = np.concatenate([vectors, rare / np.linalg.norm(rare, axis=1, keepdims=True)])
    labels += ["rare"] * 6 + ["rare|odd"] * 6
    patients += [f"r{each}" for each in range(12)]
    _index(xmir, vectors.astype(np.float32), labels, patients)
    monkeypatch.setattr(evidence, "SAMPLE", 8)
    monkeypatch.setattr(evidence, "_DRAWN", 1)
    np.save("rare.npy", -np.eye(DIM)[0])
    flags = ["--top", 1, "--vote", "label", "--seed", 0]
    (record,) = xmir("query", "--vector", "rare.npy", *flags).records()
    told = record["vote_by"]
    assert (told["fitted_to"], told["held_out"]) == (4, 4)
    assert record["vote"]["rare"] == pytest.approx(1 - told["doubt"])
    assert 0.05 < record["vote"]["odd"] <= record["vote"]["rare"]
    assert list(record["vote"])[:2] == ["rare", "odd"]
    assert "rare" not in xmir("query", "--id", "i0", *flags).records()[0]["vote"]


def test_examples_that_are_left_out_of_the_hits_still_vote(xmir, index):
    first, second, *_ = (f"i{row}" for row in _near(index, 3))
    flags = ["--id", "i3", "--top", 1, "--vote", "label", "--novelty"]
    (plain,) = xmir("query", *flags).records()
    for more in (["--unlike", first], ["--like", first, "--unlike", second]):
        (moved,) = xmir("query", *flags, *more).records()
        for key in ("vote", "vote_set", "vote_by", "novelty"):
            assert moved[key] == plain[key]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_sets_hold_all_of_several_labels_as_often_as_is_asked(xmir, seed):
    vectors, labels, patients = _made(320, seed, spread=0.9)
    odd = np.random.default_rng(seed).random(len(labels)) < 0.3
    labels = [f"{each}|odd" if more else each for each, more in zip(labels, odd, strict=True)]
    labels = [None if each % 11 == 0 else text for each, text in enumerate(labels)]
    known = np.array([int(name[1:]) < 160 for name in patients])
    rows = np.flatnonzero(known)
    _index(xmir, vectors[rows], [labels[r] for r in rows], [patients[r] for r in rows])
    new = [row for row in np.flatnonzero(~known).tolist() if labels[row]]
    np.save("new.npy", vectors[new])
    flags = ["--vector", "new.npy", "--top", 1, "--vote", "label", "--coverage", 0.8]
    records = xmir("query", *flags).records()
    held = {}
    for row, record in zip(new, records, strict=True):
        inside = set(labels[row].split("|")) <= set(record["vote_set"])
        held.setdefault(patients[row], []).append(inside)
        assert set(record["vote"]) == {"ill", "well", "odd"}
    assert 0.8 - 0.12 < np.mean([np.mean(each) for each in held.values()]) < 0.8 + 0.12
