import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pytest

from xmir_cli.metrics import retrieval
from xmir_cli.store.embeddings import Embeddings, read_embeddings, write_embeddings
from xmir_cli.wire.model import ModelSpec

MODEL = ModelSpec("tiny", "random:0", weights_sha256="ab" * 32)


def _write(name, angles, labels, patients=None, ids=None, splits=None, model=MODEL):
    count = len(angles)
    ids = ids or [f"image-{row}" for row in range(count)]
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    items = pa.table(
        {
            "id": ids,
            "path": [f"/pictures/{name}.png" for name in ids],
            "sha256": [f"hash of {name[:7]}" for name in ids],
            "width": pa.array([64] * count, pa.int32()),
            "height": pa.array([48] * count, pa.int32()),
            "label": pa.array(labels, pa.string()),
            "patient": pa.array(patients or [None] * count, pa.string()),
            "split": pa.array(splits or [None] * count, pa.string()),
        }
    )
    write_embeddings(Path(name), Embeddings(items, vectors, model))


@pytest.fixture
def two_pairs():
    """Each image's nearest is of its class; of b's two one is nearer to a's."""
    _write("e.parquet", [0, 0.1, 0.3, 1.0], ["a", "a", "b", "b"])


@pytest.mark.usefixtures("two_pairs")
def test_leave_one_out_numbers_worked_out_by_hand(xmir):
    result = xmir("retrieval-metric", "e.parquet", "--k", "1,3")
    assert (result.code, result.stderr) == (0, "")
    (record,) = result.records()
    # ranks of the only relevant image: 1, 1, 3, 1
    assert record == {
        "schema": "xmir.retrieval-metric/1",
        "embeddings": "e.parquet",
        "gallery": None,
        "protocol": "loo",
        "map_mode": "standard",
        "exclude_same": None,
        "where": None,
        "sample": None,
        "gallery_size": 4,
        "images_sha256": record["images_sha256"],
        "unlabelled": 0,
        "queries": 4,
        "dropped": 0,
        "tied_pairs": 0,
        "map": pytest.approx(5 / 6),
        "p_at_1": 0.75,
        "p_at_3": pytest.approx(1 / 3),
        "r_precision": 0.75,
        "map_at_r": 0.75,
        "mrr": pytest.approx(5 / 6),
        "ndcg": pytest.approx(0.875),  # three times 1, once 1 / log2(4)
        "recall_at_1": 0.75,
        "recall_at_3": 1.0,
        "ndcg_at_1": 0.75,
        "ndcg_at_3": pytest.approx(0.875),
        "macro": record["macro"],
        "labels": record["labels"],
        "near_duplicates": {
            "similarity_above": 0.999,
            "queries": 0,
            "pairs": 0,
            "queries_same_file": 0,
        },
        "model": record["model"],
    }
    assert record["labels"]["a"]["map"] == 1
    assert record["labels"]["b"]["map"] == pytest.approx(2 / 3)
    assert record["labels"]["b"]["queries"] == 2
    assert record["macro"]["map"] == pytest.approx(5 / 6)


@pytest.mark.usefixtures("two_pairs")
def test_an_index_scores_like_its_embeddings(xmir):
    assert xmir("index", "e.parquet", "-o", "e.xmir").code == 0
    first = xmir("retrieval-metric", "e.parquet").records()[0]
    second = xmir("retrieval-metric", "e.xmir").records()[0]
    assert {**second, "embeddings": "e.parquet"} == first


def test_rows_that_are_chosen_from_a_large_index_stay_in_a_file(xmir, monkeypatch):
    _write("e.parquet", [0, 0.1, 0.3, 1.0, 2.0], ["a", "a", "b", None, "b"])
    assert xmir("index", "e.parquet", "-o", "e.xmir", "--store", "float16").code == 0
    usual = xmir("retrieval-metric", "e.xmir", "--where", "id!=image-1").records()
    monkeypatch.setattr("xmir_cli.store.kept_vectors._HELD", 0)
    monkeypatch.setattr("xmir_cli.retrieval.collection._ROWS", 2)
    blocks = []
    inner = retrieval.similarity_blocks

    def watch(*given):
        blocks.append(given)
        return inner(*given)

    monkeypatch.setattr(retrieval, "similarity_blocks", watch)
    assert xmir("retrieval-metric", "e.xmir", "--where", "id!=image-1").records() == usual
    assert [isinstance(each, np.memmap) for each in blocks[0][:2]] == [True, True]


def test_same_patient_neighbours_are_reported_side_by_side(xmir):
    # the second image of each patient is its twin, beyond it all is of the other class
    angles, labels = [0, 0.01, 0.2, 0.21, 0.9, 1.3], ["a", "a", "b", "b", "a", "b"]
    _write("e.parquet", angles, labels, ["p", "p", "q", "q", "r", None])
    record = xmir("retrieval-metric", "e.parquet", "--k", "1").records()[0]
    assert record["p_at_1"] == pytest.approx(4 / 6)
    assert record["excluding_same_patient"]["p_at_1"] == 0
    assert record["near_duplicates"] == {
        "similarity_above": 0.999,
        "queries": 4,
        "pairs": 4,
        "queries_same_file": 0,
    }
    other = xmir("retrieval-metric", "e.parquet", "--k", "1", "--exclude-same", "patient")
    other = other.records()[0]
    assert other["p_at_1"] == 0
    assert other["excluding_same_patient"] == record["excluding_same_patient"]
    assert other["including_same_patient"]["map"] == record["map"]
    assert other["excluding_same_patient"]["map"] == other["map"]


def test_only_twins_of_the_same_patient_are_dropped_and_counted(xmir):
    _write("e.parquet", [0, 0.1, 0.5, 0.6], ["a", "a", "b", "b"], ["p", "p", "q", "r"])
    record = xmir("retrieval-metric", "e.parquet", "--exclude-same", "patient").records()[0]
    assert (record["queries"], record["dropped"]) == (2, 2)
    assert (record["including_same_patient"]["queries"], record["map"]) == (4, 1.0)


def test_the_same_file_under_another_id_is_counted(xmir):
    _write("e.parquet", [0, 0, 1], ["a", "a", "a"], ids=["image-1", "image-1-again", "image-2"])
    record = xmir("retrieval-metric", "e.parquet").records()[0]
    assert record["near_duplicates"]["queries_same_file"] == 2
    assert record["near_duplicates"]["pairs"] == 2


def test_images_without_a_label_and_classes_of_one_are_counted(xmir):
    _write("e.parquet", [0, 0.1, 0.2, 0.3], ["a", None, "a", "b"])
    record = xmir("retrieval-metric", "e.parquet").records()[0]
    assert (record["unlabelled"], record["dropped"], record["queries"]) == (1, 1, 2)
    assert list(record["labels"]) == ["a"]
    assert record["gallery_size"] == 3


def test_queries_ask_another_gallery(xmir):
    _write("q.parquet", [0.0, 1.0], ["a", "b"], ids=["image-a", "image-b"])
    _write("g.parquet", [0.1, 0.2, 0.9], ["b", "a", "b"])
    record = xmir("retrieval-metric", "q.parquet", "--gallery", "g.parquet").records()[0]
    assert (record["protocol"], record["queries"], record["gallery_size"]) == (
        "query-gallery",
        2,
        3,
    )
    assert record["labels"]["a"]["map"] == 0.5
    assert record["labels"]["b"]["map"] == pytest.approx((1 + 2 / 3) / 2)


def test_a_query_in_its_own_gallery_does_not_find_itself(xmir):
    angles, splits = [0, 0.1, 0.2, 0.3], ["test", "train", "train", "test"]
    _write("e.parquet", angles, ["a", "b", "a", "b"], splits=splits)
    arguments = ["--protocol", "query-gallery", "--where", "split=test"]
    record = xmir("retrieval-metric", "e.parquet", *arguments).records()[0]
    assert (record["queries"], record["gallery_size"], record["p_at_1"]) == (2, 4, 0)
    assert record["map"] == 0.5


def test_where_narrows_both_sides_of_leave_one_out(xmir):
    splits = ["test", "train", "test", "test"]
    _write("e.parquet", [0, 0.1, 0.2, 0.3], ["a", "b", "a", "b"], splits=splits)
    record = xmir("retrieval-metric", "e.parquet", "--where", "split=test").records()[0]
    assert (record["queries"], record["dropped"], record["gallery_size"]) == (2, 1, 3)


def test_the_released_evaluator_can_be_asked_for(xmir):
    _write("e.parquet", [0] * 100 + [1] * 200, ["a"] * 100 + ["b"] * 100 + ["c"] * 100)
    record = xmir("retrieval-metric", "e.parquet", "--map-mode", "x-mir").records()[0]
    assert record["labels"]["a"]["map"] == pytest.approx(0.993322, abs=5e-7)
    assert record["map_mode"] == "x-mir"


@pytest.mark.usefixtures("two_pairs")
def test_gates_fail_with_code_4_after_the_output(xmir):
    flags = ["--min", "map=0.8", "--min", "labels.b.map=0.9", "--max", "p_at_1=0.7"]
    result = xmir("retrieval-metric", "e.parquet", *flags)
    assert result.code == 4
    assert result.records()[0]["map"] == pytest.approx(5 / 6)
    assert result.stderr.splitlines() == [
        "xmir: error: gate --min labels.b.map=0.9: found 0.666667",
        "xmir: error: gate --max p_at_1=0.7: found 0.75",
    ]
    assert xmir("retrieval-metric", "e.parquet", "--min", "map=0.8").code == 0


@pytest.mark.usefixtures("two_pairs")
def test_the_default_ks_fit_the_gallery_and_named_ones_must(xmir):
    record = xmir("retrieval-metric", "e.parquet").records()[0]
    assert [name for name in record if name.startswith("p_at")] == ["p_at_1"]
    result = xmir("retrieval-metric", "e.parquet", "--k", "1,4")
    assert result.code == 2
    assert result.stderr == ("xmir: error: --k: 4 is more than the 3 images there are to find\n")
    for wrong in ("0", "one", "", "1,,2"):
        result = xmir("retrieval-metric", "e.parquet", "--k", wrong)
        assert (result.code, result.stdout) == (2, "")


@pytest.mark.usefixtures("two_pairs")
@pytest.mark.parametrize(
    "flags",
    [
        ["--protocol", "loo", "--gallery", "e.parquet"],
        ["--protocol", "query-gallery"],
        ["--gallery", "e.parquet", "--map-mode", "x-mir"],
        ["--min", "map"],
        ["--where", "colour=red"],
        ["--exclude-same", "colour"],
    ],
)
def test_flags_that_contradict_each_other_are_usage_errors(xmir, flags):
    result = xmir("retrieval-metric", "e.parquet", *flags)
    assert (result.code, result.stdout) == (2, "")


def test_what_cannot_be_scored_is_said(xmir):
    _write("none.parquet", [0, 1], [None, None])
    result = xmir("retrieval-metric", "none.parquet")
    assert (result.code, result.stderr) == (5, "xmir: error: none of 2 rows has a label\n")
    _write("single.parquet", [0, 1], ["a", "b"])
    result = xmir("retrieval-metric", "single.parquet")
    assert result.code == 5
    assert result.stderr == ("xmir: error: none of 2 queries has a relevant image to find\n")
    result = xmir("retrieval-metric", "single.parquet", "--where", "label=c")
    assert (result.code, result.stderr) == (
        5,
        "xmir: error: none of 2 images has label=c; label holds a, b\n",
    )
    _write("one.parquet", [0], ["a"])
    assert xmir("retrieval-metric", "one.parquet").code == 5


@pytest.mark.usefixtures("two_pairs")
def test_two_models_cannot_be_compared(xmir):
    other = ModelSpec("other", "random:1", weights_sha256="cd" * 32)
    _write("g.parquet", [0, 1], ["a", "b"], model=other)
    result = xmir("retrieval-metric", "e.parquet", "--gallery", "g.parquet")
    assert result.code == 5
    assert result.stderr == (
        "xmir: error: queries and gallery were embedded by different models: "
        "tiny abababababab and other cdcdcdcdcdcd\n"
    )


def test_a_table_has_micro_macro_and_labels(xmir):
    _write("e.parquet", [0, 0.1, 0.3, 1.0], ["a", "a", "b", "b"], ["p", "p", "q", "r"])
    rows = xmir("retrieval-metric", "e.parquet", "--format", "tsv").stdout.splitlines()
    assert [row.split("\t")[:4] for row in rows] == [
        ["over", "neighbours", "queries", "map"],
        ["micro", "all", "4", "0.8333"],
        ["macro", "all", "", "0.8333"],
        ["a", "all", "2", "1.0000"],
        ["b", "all", "2", "0.6667"],
        ["micro", "other patients", "2", "0.6667"],
        ["macro", "other patients", "", "0.6667"],
        ["b", "other patients", "2", "0.6667"],
    ]


def test_the_table_says_whose_neighbours_its_chosen_numbers_are(xmir):
    _write("e.parquet", [0, 0.1, 0.3, 1.0], ["a", "a", "b", "b"], ["p", "p", "q", "r"])
    asked = ("retrieval-metric", "e.parquet", "--exclude-same", "patient", "--format", "tsv")
    rows = [row.split("\t") for row in xmir(*asked).stdout.splitlines()]
    assert rows[1][:4] == ["micro", "other patients", "2", "0.6667"]
    assert ["micro", "all", "4", "0.8333"] in [row[:4] for row in rows]


@pytest.mark.parametrize("turned", [False, True])
def test_ties_give_expected_values_and_a_warning(xmir, turned):
    labels = ["a"] * 90 + ["b"] * 10
    _write("e.parquet", [1.0] * 100, labels[::-1] if turned else labels)
    result = xmir("retrieval-metric", "e.parquet", "--min", "p_at_1=0.85")
    assert result.code == 4
    assert result.stderr == (
        "xmir: warning: 100.0% of the pairs of a relevant image and another are equally similar "
        "to their query; every number is the mean over the orders of such ties\n"
        "xmir: error: gate --min p_at_1=0.85: found 0.818182\n"
    )
    (record,) = result.records()
    assert record["p_at_1"] == pytest.approx(8100 / 9900)
    assert record["p_at_5"] == pytest.approx(8100 / 9900)
    assert record["tied_pairs"] == 1
    assert xmir("retrieval-metric", "e.parquet", "--max", "tied_pairs=0.01").code == 4


def test_a_few_ties_are_no_warning(xmir):
    angles = [*np.linspace(0, 3, 40), 0]  # one copy, of another label
    _write("e.parquet", angles, ["a", "b"] * 20 + ["b"])
    result = xmir("retrieval-metric", "e.parquet")
    assert (result.code, result.stderr) == (0, "")
    assert 0 < result.records()[0]["tied_pairs"] < 0.01


def test_one_label_is_noted(xmir):
    _write("e.parquet", [0, 0.1, 0.2], ["a", "a", "a"])
    result = xmir("retrieval-metric", "e.parquet")
    expected = "xmir: note: the gallery has one label, a: any ranking has the same numbers\n"
    assert (result.code, result.stderr) == (0, expected)
    _write("f.parquet", [0, 0.1, 0.2], ["a|b", "c|b", "b|d|e"])
    result = xmir("retrieval-metric", "f.parquet")
    assert result.stderr == (
        "xmir: note: whatever can be found shares a label with its query: "
        "any ranking has the same numbers but nDCG\n"
    )


def test_several_labels_are_relevant_when_one_is_shared(xmir):
    _write("e.parquet", [0, 0.1, 0.25, 0.5], ["a|b", "b | c", "d", "d|a"])
    (record,) = xmir("retrieval-metric", "e.parquet", "--k", "1").records()
    assert record["p_at_1"] == 0.75  # but of d alone, whose nearest is b | c
    told = {name: part["queries"] for name, part in record["labels"].items()}
    assert told == {"a": 2, "b": 2, "d": 2}  # no other image has c
    assert record["labels"]["d"]["p_at_1"] == 0.5


def test_a_label_of_nothing_but_bars_is_none(xmir):
    _write("e.parquet", [0, 0.1, 0.2], ["a", "|", "a"])
    record = xmir("retrieval-metric", "e.parquet").records()[0]
    assert (record["unlabelled"], record["gallery_size"]) == (1, 2)


def test_the_released_evaluator_counts_queries_without_a_partner(xmir):
    _write("e.parquet", [0, 0.1, 0.5, 0.9], ["a", "a", "b", "c"])
    standard = xmir("retrieval-metric", "e.parquet", "--k", "1").records()[0]
    assert (standard["queries"], standard["dropped"]) == (2, 2)
    assert (standard["map"], standard["p_at_1"]) == (1, 1)
    released = xmir("retrieval-metric", "e.parquet", "--k", "1", "--map-mode", "x-mir")
    record = released.records()[0]
    assert (record["queries"], record["dropped"]) == (4, 0)
    perfect = (1 + (1 / 3 + 2 / 4) / 2) / 2  # the partner first, the query itself last
    assert record["map"] == pytest.approx((2 * perfect + 2 * (1 / 4) / 2) / 4)
    assert record["p_at_1"] == 0.5
    assert record["labels"]["b"]["map"] == pytest.approx(1 / 8)


@pytest.mark.parametrize(
    ("patients", "said"),
    [
        ([None] * 4, "no query has a patient: nothing but the query itself was left out"),
        (
            ["p", None, "q", ""],
            "2 of 4 queries have no patient: nothing but the query itself was left out for them",
        ),
        (["p", "p", "q", "q"], None),
    ],
)
def test_exclude_same_says_where_nobody_has_a_value(xmir, patients, said):
    _write("e.parquet", [0, 0.1, 0.2, 0.3], ["a", "b", "a", "b"], patients)
    result = xmir("retrieval-metric", "e.parquet", "--exclude-same", "patient")
    expected = f"xmir: warning: {said}\n" if said else ""
    assert (result.code, result.stderr) == (0, expected)
    _write("q.parquet", [0.0, 1.0], ["a", "b"], ["p", "q"], ids=["one", "two"])
    asked = ("--gallery", "e.parquet", "--exclude-same", "patient")
    result = xmir("retrieval-metric", "q.parquet", *asked)
    if not any(patients):
        assert "no image of the gallery has a patient" in result.stderr


def test_rows_without_a_direction_are_left_out_by_name(xmir):
    _write("e.parquet", [0, 0.1, 0.2, 0.3, 0.4], ["a", "a", "b", "b", "b"])
    whole = xmir("retrieval-metric", "e.parquet", "--k", "1").records()[0]
    embeddings = read_embeddings("e.parquet")
    vectors = np.concatenate([embeddings.vectors, np.zeros((1, 2), dtype=np.float32)])
    items = pa.concat_tables([embeddings.items, embeddings.items.slice(0, 1)])
    ids = pa.array([f"i{row}" for row in range(6)])
    items = items.set_column(0, "id", ids)
    write_embeddings(Path("zero.parquet"), Embeddings(items, vectors, MODEL))
    result = xmir("retrieval-metric", "zero.parquet", "--k", "1")
    assert result.code == 3
    assert result.stderr == (
        "xmir: warning: skipped i5: bad-vector: row 5 is zero, NaN or infinite\n"
        "xmir: note: 5 scored, 1 skipped (1 bad-vector)\n"
    )
    record = result.records()[0]
    assert (record["map"], record["gallery_size"]) == (whole["map"], 5)


@pytest.mark.parametrize("mode", ["standard", "x-mir"])
@pytest.mark.parametrize("labels", [["a", "a", "b", "b"], ["a|b", "b|a", "a", "b"]])
def test_the_labels_that_are_to_be_found_cannot_be_left_out(xmir, labels, mode):
    _write("e.parquet", [0, 0.1, 0.3, 1.0], labels)
    result = xmir("retrieval-metric", "e.parquet", "--exclude-same", "label", "--map-mode", mode)
    assert (result.code, result.stdout) == (2, "")
    assert "--exclude-same: images that share a label are what is to be found" in result.stderr


def _patients(count=60):
    generator = np.random.default_rng(0)
    _write(
        "e.parquet",
        generator.uniform(0, 6, count).tolist(),
        generator.choice(["a", "b", "a|c"], count).tolist(),
        [f"p{row // 2}" if row % 7 else None for row in range(count)],
    )


def test_a_sample_of_the_queries_asks_the_whole_gallery(xmir):
    _patients()
    asked = ("retrieval-metric", "e.parquet", "--k", "3", "--sample", "20", "--seed", "5")
    result = xmir(*asked)
    assert (result.code, result.stderr) == (0, "")
    (record,) = result.records()
    assert record["sample"] == {
        "queries": 20,
        "of": 60,
        "drawn": "uniform",
        "seed": 5,
        "intervals": {"of": "patients", "resamples": 2000, "level": 0.95},
    }
    assert (record["queries"] + record["dropped"], record["gallery_size"]) == (20, 60)
    # the same queries by name, each alone against the whole gallery
    whole = read_embeddings("e.parquet")
    hashes = whole.items["sha256"].to_pylist()
    by_hash = sorted(range(60), key=lambda row: (hashes[row], whole.items["id"][row].as_py()))
    rows = np.sort(np.array(by_hash)[np.random.default_rng(5).permutation(60)[:20]])
    some = Embeddings(whole.items.take(pa.array(rows)), whole.vectors[rows], MODEL)
    write_embeddings(Path("some.parquet"), some)
    alone = xmir("retrieval-metric", "some.parquet", "--gallery", "e.parquet", "--k", "3")
    expected = alone.records()[0]
    for name in ("map", "p_at_3", "mrr", "ndcg", "tied_pairs", "near_duplicates"):
        assert record[name] == expected[name]
    assert record["map_low"] < record["map"] < record["map_high"]
    part, label = record["excluding_same_patient"], record["labels"]["a"]
    for found in (part, label, record["macro"], part["macro"], part["labels"]["b"]):
        assert found["mrr_low"] <= found["mrr"] <= found["mrr_high"]
    assert xmir(*asked).records() == [record]
    assert xmir(*asked[:-1], "6").records()[0]["map"] != record["map"]
    assert xmir(*asked, "--min", "map_low=0.99").code == 4


def test_a_sample_is_of_the_same_images_whatever_the_order_of_the_rows(xmir):
    _patients()
    whole = read_embeddings("e.parquet")
    rows = np.random.default_rng(1).permutation(60)
    moved = Embeddings(whole.items.take(pa.array(rows)), whole.vectors[rows], MODEL)
    write_embeddings(Path("moved.parquet"), moved)
    asked = ("--sample", "20", "--per-query")
    one, other = (
        xmir("retrieval-metric", f"{name}.parquet", *asked).records() for name in ("e", "moved")
    )
    names = [sorted(record["id"] for record in found) for found in (one, other)]
    assert names[0] == names[1]
    assert len(names[0]) == 20


def test_a_sample_of_all_has_the_numbers_of_all(xmir):
    _patients()
    whole = xmir("retrieval-metric", "e.parquet").records()[0]
    result = xmir("retrieval-metric", "e.parquet", "--sample", "99")
    assert result.stderr == (
        "xmir: note: there are 60 queries, fewer than the sample: all of them were asked\n"
    )
    (record,) = result.records()
    assert record["sample"]["queries"] == 60
    record["sample"] = None
    assert record.pop("unasked_labels") == []
    left = {name: each for name, each in record.items() if not name.endswith(("_low", "_high"))}
    for name in ("macro", "labels", "excluding_same_patient"):
        whole.pop(name), left.pop(name)
    assert left == whole


def test_a_sample_of_another_set_and_of_queries_of_nobody(xmir):
    _write("q.parquet", [0.0, 1.0, 2.0], ["a", "b", "b"], ids=["one", "two", "three"])
    _write("g.parquet", [0.1, 0.2, 0.9], ["b", "a", "b"])
    asked = ("retrieval-metric", "q.parquet", "--gallery", "g.parquet", "--sample", "2")
    (record,) = xmir(*asked).records()
    assert (record["sample"]["of"], record["sample"]["queries"]) == (3, 2)
    assert record["sample"]["intervals"]["of"] == "queries"
    header, *rows = xmir(*asked, "--format", "tsv").stdout.splitlines()
    assert {"map_low", "map_high"} < set(header.split("\t"))
    assert len({len(row.split("\t")) for row in [header, *rows]}) == 1


def _rare(labels, patients=None):
    angles = np.random.default_rng(0).uniform(0, 6, len(labels)).tolist()
    _write("e.parquet", angles, labels, patients)
    return ("retrieval-metric", "e.parquet", "--k", "1", "--sample")


def test_a_sample_without_a_label_has_no_numbers_over_labels_and_says_so(xmir):
    asked = _rare(["a", "b"] * 100 + ["rare", "rare", "lone"])
    result = xmir(*asked, "20", "--min", "macro.map=0.01")
    (record,) = result.records()
    assert record["unasked_labels"] == ["rare"]  # nothing is to be found by lone, whoever asks
    assert set(record["labels"]) == {"a", "b"}
    assert set(record["macro"].values()) == {None}
    assert {"map", "map_low", "map_high"} < set(record["macro"])
    assert record["map"] > 0
    warning, gate = [line for line in result.stderr.splitlines() if "hint" not in line][:2]
    assert warning == (
        "xmir: warning: the sample has no query with numbers of rare: "
        "macro, which is over all labels, is null"
    )
    assert "gate --min macro.map=0.01: macro.map is null" in gate
    assert result.code == 4
    table = xmir(*asked, "20", "--format", "tsv")
    assert len({len(line.split("\t")) for line in table.stdout.splitlines()}) == 1


def test_a_sample_of_all_labels_has_numbers_over_them(xmir):
    asked = _rare(["a", "b"] * 100 + ["rare", "rare", "lone"])
    (record,) = xmir(*asked, "203").records()
    assert record["unasked_labels"] == []
    whole = xmir(*asked[:-1]).records()[0]["macro"]
    assert {name: record["macro"][name] for name in whole} == whole
    assert "unasked_labels" not in xmir(*asked[:-1]).records()[0]


def test_a_label_of_one_patient_is_missing_only_beside_other_patients(xmir):
    patients = [f"p{number}" for number in range(200)] + ["own", "own"]
    asked = _rare(["a", "b"] * 100 + ["rare", "rare"], patients)
    (record,) = xmir(*asked, "20").records()
    assert record["unasked_labels"] == ["rare"]
    assert record["excluding_same_patient"]["unasked_labels"] == []
    assert record["excluding_same_patient"]["macro"]["map"] > 0
    (other,) = xmir(*asked, "20", "--exclude-same", "patient").records()
    assert (other["unasked_labels"], other["macro"]) == (
        [],
        record["excluding_same_patient"]["macro"],
    )
    assert other["including_same_patient"]["unasked_labels"] == ["rare"]


def test_a_query_without_a_partner_has_numbers_as_the_paper_has_them(xmir):
    asked = _rare(["a", "b"] * 100 + ["lone"])
    (record,) = xmir(*asked, "20", "--map-mode", "x-mir").records()
    assert record["unasked_labels"] == ["lone"]


def test_a_sample_of_one_has_no_interval(xmir):
    _patients()
    (record,) = xmir("retrieval-metric", "e.parquet", "--sample", "1").records()
    assert (record["map_low"], record["map_high"]) == (None, None)
    assert record["map"] is not None


@pytest.mark.usefixtures("two_pairs")
def test_a_sample_of_nothing_is_a_usage_error(xmir):
    for wrong in ("0", "-1", "many"):
        result = xmir("retrieval-metric", "e.parquet", "--sample", wrong)
        assert (result.code, result.stdout) == (2, "")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--where", "hospital=A"], "--where: no column 'hospital'"),
        (["--where", "hospital"], "--where: expected COLUMN=VALUE"),
        (["--exclude-same", "hospital"], "--exclude-same: no column 'hospital'"),
        (["--exclude-same", "label"], "--exclude-same: images that share a label"),
        (["--gallery", "f.parquet", "--exclude-same", "hospital"], "--exclude-same: no column"),
    ],
)
def test_columns_that_are_not_there_are_refused_before_all_is_read(xmir, flags, said, monkeypatch):
    _write("e.parquet", [0, 0.1, 0.3, 1.0], ["a", "a", "b", "b"])
    _write("f.parquet", [0, 0.1, 0.3, 1.0], ["a", "a", "b", "b"])

    def read(*_):
        raise AssertionError("was read")

    monkeypatch.setattr("xmir_cli.stories.retrieval_metric.read_collection", read)
    result = xmir("retrieval-metric", "e.parquet", *flags)
    assert result.code == 2
    assert result.stderr.startswith(f"xmir: error: {said}")


def _cases(name):
    suite = ElementTree.parse(name).getroot()[0]  # noqa: S314 # our own
    return [(case.get("name"), [told.tag for told in case]) for case in suite]


@pytest.mark.usefixtures("two_pairs")
def test_each_query_has_its_numbers_of_which_the_means_are_those_of_all(xmir):
    (whole,) = xmir("retrieval-metric", "e.parquet", "--summary").records()
    rows = xmir("retrieval-metric", "e.parquet", "--per-query").records()
    assert [(row["query"], row["id"], row["map"]) for row in rows] == [
        ("/pictures/image-0.png", "image-0", 1),
        ("/pictures/image-1.png", "image-1", 1),
        ("/pictures/image-2.png", "image-2", pytest.approx(1 / 3)),
        ("/pictures/image-3.png", "image-3", 1),
    ]
    for name in ("map", "mrr", "ndcg", "p_at_1", "recall_at_1"):
        assert np.mean([row[name] for row in rows]) == pytest.approx(whole[name])
    both = xmir("retrieval-metric", "e.parquet", "--summary", "--per-query")
    assert (both.code, both.stderr) == (
        2,
        "xmir: error: --per-query: --summary prints something else; give one of them\n",
    )


def test_means_are_compared_with_those_of_an_earlier_run_in_another_folder(xmir):
    Path("old").mkdir()
    _write("old/e.parquet", [0, 0.1, 1.0, 1.1], ["a", "a", "b", "b"])
    Path("old.jsonl").write_text(xmir("retrieval-metric", "old/e.parquet").stdout)
    _write("e.parquet", [0, 0.1, 0.3, 1.0], ["a", "a", "b", "b"])
    asked = ("retrieval-metric", "e.parquet", "--baseline", "old.jsonl", "--max", "map=1")
    done = xmir(*asked, "--junit", "j.xml")
    assert (done.code, len(done.records())) == (4, 1)
    assert done.stderr.splitlines()[-2:] == [
        "xmir: error: worse than before: p_at_1 1.0000 -> 0.7500",
        "xmir: error: 1 of 1 runs are worse than in old.jsonl by more than 0.01",
    ]
    assert _cases("j.xml") == [("--max map=1", []), ("baseline", ["failure"])]
    assert xmir(*asked, "--tolerance", "0.25").code == 0
    assert xmir(*asked, "--k", "2").code == 4  # by the numbers that both have
    other = xmir(*asked, "--exclude-same", "patient")
    assert other.code == 5
    assert "old.jsonl: scored with exclude_same none, this run has patient" in other.stderr
    again = xmir(*asked, "--junit", "j.xml")
    assert again.code == 7
    over = xmir(*asked, "--junit", "e.parquet", "--force")
    assert "--junit e.parquet: is an input, too" in over.stderr


def test_a_query_that_is_missing_is_told_apart_from_one_that_failed(xmir):
    angles, labels = [0, 0.1, 1.0, 1.1, 2, 2.1], list("aabbcc")
    _write("old.parquet", angles, labels)
    rows = xmir("retrieval-metric", "old.parquet", "--per-query").records()
    assert [row["map"] for row in rows] == [1] * 6
    for number, row in enumerate(rows):
        row["query_identity"] = f"image {number}"
    _write("new.parquet", [0, 0.1, np.nan, 1.1, 2.1], [*"aabb", "c"])
    table = read_embeddings("new.parquet", allow_nan=True)
    names = pa.array([f"image {number}" for number in (0, 1, 2, 3, 5)])
    items = table.items.set_column(2, "sha256", names)
    write_embeddings(Path("new.parquet"), Embeddings(items, table.vectors, MODEL))
    assert xmir("index", "new.parquet", "-o", "new.xmir").code == 3
    Path("old.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    asked = ("retrieval-metric", "new.xmir", "--baseline", "old.jsonl", "--junit", "j.xml")
    done = xmir(*asked)
    assert done.code == 4
    assert _cases("j.xml") == [
        *[("baseline", []), ("baseline: p_at_5, recall_at_5, ndcg_at_5", ["skipped"])] * 2,
        ("baseline", ["skipped"]),
        ("baseline", ["error"]),
        ("baseline", ["skipped"]),
        ("baseline", ["error"]),
    ]
    assert "note: numbers of old.jsonl not met: p_at_5, recall_at_5, ndcg_at_5" in done.stderr
    assert "note: old.jsonl: gallery_size 6, this run has 4" in done.stderr
    assert "note: 2 of 6 records of old.jsonl not met" in done.stderr
    assert "/pictures/image-3.png: could not be scored any more" in done.stderr
    assert "2 of 4 queries are worse than in old.jsonl by more than 0.01" in done.stderr
