"""Two models over the same images: rankings, numbers, gates, and what pipes on."""

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from xmir_cli.metrics.overlap import rank_biased_overlap
from xmir_cli.scoring.causal import CAUSAL as CAUSAL_METRIC
from xmir_cli.scoring.compare.archives import match_archives
from xmir_cli.scoring.tally import Tally
from xmir_cli.store.embeddings import (
    Embeddings,
    read_embeddings,
    write_embeddings,
    write_stream,
)
from xmir_cli.wire.model import ModelSpec

OLD = ModelSpec("tiny", "random:0", weights_sha256="ab" * 32)
NEW = ModelSpec("tiny", "random:1", weights_sha256="cd" * 32)


def write(name, angles, labels, model=OLD, order=None, patients=None, hashes=None):
    """Embeddings at angles; image i has the hash of i, whatever its row, its path and its id."""
    order = list(range(len(angles))) if order is None else order
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)[order]
    hashes = hashes or [f"hash-{number:04}" for number in range(len(angles))]
    items = pa.table(
        {
            "id": [f"{name}-{number:04}" for number in order],
            "path": [f"/{name}/{number}.png" for number in order],
            "sha256": [hashes[number] for number in order],
            "width": pa.array([64] * len(order), pa.int32()),
            "height": pa.array([48] * len(order), pa.int32()),
            "label": pa.array([labels[number] for number in order], pa.string()),
            "patient": pa.array([(patients or labels)[number] for number in order], pa.string())
            if patients
            else pa.array([None] * len(order), pa.string()),
            "split": pa.array(["test" if number % 2 else "train" for number in order]),
        }
    )
    write_embeddings(Path(name), Embeddings(items, vectors, model))
    return name


def cases(name):
    suite = ElementTree.parse(name).getroot()[0]  # noqa: S314 # our own
    return [(case.get("name"), [told.tag for told in case]) for case in suite]


@pytest.fixture
def worse():
    """Three labels apart from each other, and a model that puts one image of a beside those of c.

    Another order of rows, other paths and other ids: images are known by their hashes alone.
    """
    labels = list("aaaabbbbcccc")
    angles = np.repeat([0.0, 1.0, 2.0], 4) + np.tile([0, 0.01, 0.03, 0.06], 3)
    moved = angles.copy()
    moved[0] = 2.02
    order = np.random.default_rng(0).permutation(12).tolist()
    write("old.parquet", angles, labels)
    write("new.parquet", moved, labels, NEW, order)
    return angles, moved, labels


def naive(angles, labels, query, depth=100):
    """Who is nearest to the query by a full sort, and its average precision."""
    similar = np.cos(np.asarray(angles) - angles[query])
    order = [each for each in np.argsort(-similar, kind="stable").tolist() if each != query]
    right = np.array([labels[each] == labels[query] for each in order], dtype=float)
    precision = (np.cumsum(right) / np.arange(1, len(order) + 1))[right > 0].mean()
    return order[:depth], precision


def test_the_same_model_twice_changes_nothing(xmir):
    """Ties, too: four images are equally similar, in another order of rows."""
    angles, labels = [0, 0, 0, 0, 0.5, 0.5], list("aabbab")
    hashes = ["same", "same", "x", "y", "z", "v"]  # two copies
    write("old.parquet", angles, labels, hashes=hashes)
    write("new.parquet", angles, labels, order=[5, 3, 0, 1, 4, 2], hashes=hashes)
    for new in ("old.parquet", "new.parquet"):
        done = xmir("compare", "old.parquet", new, "--summary", "--k", "1,3")
        assert done.code == 0
        (record,) = done.records()
        assert [record[name] for name in ("overlap_at_1", "overlap_at_3", "rbo")] == [1, 1, 1]
        assert [record[name] for name in ("came", "went")] == [0, 0]
        assert (record["right_to_wrong"], record["wrong_to_right"]) == (0, 0)
        for part in (record, record["macro"], *record["labels"].values()):
            found = [part[name] for name in part if name.endswith(("_difference", "_low", "_high"))]
            assert {each for each in found if each not in {0, 1}} == set()
        assert record["map_difference"] == record["map_difference_high"] == 0
        rows = xmir("compare", "old.parquet", new, "--per-query").records()
        assert {row["rbo"] for row in rows} == {1}


def test_numbers_are_those_of_full_sorts(xmir, worse):
    angles, moved, labels = worse
    rows = xmir("compare", "old.parquet", "new.parquet", "--per-query", "--k", "1,3").records()
    assert len(rows) == 12
    for row in rows:
        query = int(row["query_identity"].removeprefix("hash-"))
        old, before = naive(angles, labels, query)
        new, after = naive(moved, labels, query)
        assert row["query"] == f"/new.parquet/{query}.png"
        assert row["overlap_at_3"] == len(set(old[:3]) & set(new[:3])) / 3
        assert row["rbo"] == pytest.approx(rank_biased_overlap(np.array(old), np.array(new)))
        assert (row["came"], row["went"]) == (len(set(new[:3]) - set(old[:3])),) * 2
        assert row["map_old"] == pytest.approx(before)
        assert row["map_new"] == pytest.approx(after)
        assert row["map_difference"] == pytest.approx(after - before)
    assert rows[0]["query_identity"] == "hash-0000"  # what was moved lost most
    assert rows[0]["first_hit"] == "right to wrong"
    losses = [row["map_difference"] for row in rows]
    assert losses == sorted(losses)


def test_sums_are_those_of_retrieval_metric_with_intervals_of_the_difference(xmir, worse):
    angles, moved, labels = worse
    (record,) = xmir("compare", "old.parquet", "new.parquet", "--summary").records()
    for side in ("old", "new"):
        (alone,) = xmir("retrieval-metric", f"{side}.parquet").records()
        for name in ("map", "mrr", "ndcg", "p_at_5", "recall_at_1", "map_at_r", "r_precision"):
            assert record[f"{name}_{side}"] == pytest.approx(alone[name])
            assert record["macro"][f"{name}_{side}"] == pytest.approx(alone["macro"][name])
            for label in "abc":
                found = record["labels"][label][f"{name}_{side}"]
                assert found == pytest.approx(alone["labels"][label][name])
    lost = [naive(moved, labels, row)[1] - naive(angles, labels, row)[1] for row in range(12)]
    drawn = np.random.default_rng(0).integers(12, size=(5000, 12))
    low, high = np.quantile(np.array(lost)[drawn].mean(axis=1), (0.025, 0.975))
    assert record["map_difference"] == pytest.approx(np.mean(lost))
    assert record["map_difference_low"] == pytest.approx(low, abs=0.01)
    assert record["map_difference_high"] == pytest.approx(high, abs=0.01)
    assert record["right_to_wrong"] == 3  # it is the first hit of two images of c now
    assert record["intervals"] == {
        "of": "queries",
        "units": 12,
        "resamples": 2000,
        "level": 0.95,
        "seed": 0,
    }
    assert record["model_old"]["weights"] == "random:0"


def test_patients_are_what_is_drawn_and_their_own_images_are_left_out(xmir):
    labels, patients = list("aabbaabb"), list("ppqqrrss")
    angles = [0, 0.1, 1, 1.1, 0.3, 0.4, 1.3, 1.4]
    write("old.parquet", angles, labels, patients=patients)
    write("new.parquet", [0, 0.1, 1, 1.1, 1.2, 0.4, 0.2, 1.4], labels, NEW, patients=patients)
    asked = ("compare", "old.parquet", "new.parquet", "--summary")
    (record,) = xmir(*asked).records()
    assert (record["intervals"]["of"], record["intervals"]["units"]) == ("patients", 4)
    (other,) = xmir(*asked, "--exclude-same", "patient").records()
    for side in ("old", "new"):
        (alone,) = xmir(
            "retrieval-metric", f"{side}.parquet", "--exclude-same", "patient"
        ).records()
        assert other[f"map_{side}"] == pytest.approx(alone["map"])
        whole = alone["including_same_patient"]["map"]
        assert other["including_same_patient"][f"map_{side}"] == pytest.approx(whole)
        assert record[f"map_{side}"] == pytest.approx(whole)
        excluded = record["excluding_same_patient"][f"map_{side}"]
        assert excluded == pytest.approx(alone["map"])
    assert other["overlap_at_1"] != record["overlap_at_1"]


def test_images_that_only_one_has_are_missing_not_failed(xmir, worse):
    angles, moved, labels = worse
    write(
        "fewer.parquet", moved[2:], labels[2:], NEW, hashes=[f"hash-{n:04}" for n in range(2, 12)]
    )
    done = xmir("compare", "old.parquet", "fewer.parquet", "--summary", "--junit", "j.xml")
    assert done.code == 0
    (record,) = done.records()
    assert [record[name] for name in ("compared", "only_old", "only_new", "failed")] == [
        10,
        2,
        0,
        0,
    ]
    assert "note: in OLD only, missing in the other: 2 of the images" in done.stderr
    assert cases("j.xml") == [("images of old", ["skipped"])]
    gated = xmir("compare", "old.parquet", "fewer.parquet", "--max", "only_old=0")
    assert "gate --max only_old=0: found 2" in gated.stderr
    write("other.parquet", angles, labels, hashes=[f"other-{number}" for number in range(12)])
    none = xmir("compare", "old.parquet", "other.parquet")
    assert (none.code, none.stderr.splitlines()[0]) == (
        5,
        "xmir: error: the two have no image in common",
    )


def test_an_item_without_a_hash_is_left_out_and_not_missing(worse):
    """An index may hold one."""
    angles, _, labels = worse
    whole = read_embeddings(write("whole.parquet", angles, labels))
    place = whole.items.column_names.index("sha256")
    hashes = [None, *whole.items["sha256"].to_pylist()[1:]]
    items = whole.items.set_column(place, "sha256", pa.array(hashes, pa.string()))
    left: list[str] = []
    both = match_archives(
        replace(whole, items=items), whole, lambda name, error: left.append(f"{name}: {error}")
    )
    assert (len(both.identities), both.only_old, both.only_new) == (11, 0, 1)
    (told,) = left
    assert told.startswith("whole.parquet-0000: bad-record: sha256: expected the hash of the image")


def test_gates_and_a_baseline_fail_with_code_4(xmir, worse):
    angles, _, labels = worse
    write("twin.parquet", angles, labels, NEW)
    good = xmir("compare", "old.parquet", "twin.parquet", "--summary", "--min", "map_difference=0")
    assert good.code == 0
    Path("good.jsonl").write_text(good.stdout)
    asked = ("compare", "old.parquet", "new.parquet", "--worst", "1")
    flags = ("--min", "map_difference=-0.01", "--max", "right_to_wrong=3")
    bad = xmir(*asked, *flags, "--baseline", "good.jsonl", "--junit", "j.xml")
    assert (bad.code, len(bad.records())) == (4, 6)
    assert "gate --min map_difference=-0.01: found -0." in bad.stderr
    assert "worse than before: " in bad.stderr
    assert cases("j.xml") == [
        ("--min map_difference=-0.01", ["failure"]),
        ("--max right_to_wrong=3", []),
        ("baseline", ["failure"]),
    ]
    assert xmir(*asked, "--baseline", "good.jsonl", "--tolerance", "2").code == 0
    missing = xmir(*asked, "--min", "f1=0")
    assert (missing.code, "--min f1=0: no such number" in missing.stderr) == (2, True)


@pytest.mark.usefixtures("worse")
def test_queries_of_one_split_ask_all(xmir):
    flags = ("--protocol", "query-gallery", "--where", "split=test")
    (record,) = xmir("compare", "old.parquet", "new.parquet", "--summary", *flags).records()
    (alone,) = xmir("retrieval-metric", "new.parquet", *flags).records()
    assert record["compared"] == alone["queries"] == 6
    assert record["map_new"] == pytest.approx(alone["map"])
    few = xmir("compare", "old.parquet", "new.parquet", "--summary", "--sample", "5").records()
    assert few[0]["compared"] == 5
    wrong = xmir("compare", "old.parquet", "new.parquet", "--protocol", "query-gallery")
    assert wrong.code == 2


def test_archives_without_labels_have_rankings_alone(xmir, worse):
    angles, moved, _ = worse
    write("old.parquet", angles, [None] * 12)
    write("new.parquet", moved, [None] * 12, NEW)
    done = xmir("compare", "old.parquet", "new.parquet", "--summary")
    (record,) = done.records()
    assert record["right_to_wrong"] is None
    assert "map_old" not in record
    assert 0 < record["rbo"] < 1
    assert "no image has a label: only the rankings are compared" in done.stderr


def hits(query, names, label="a", right="", identity=True):
    """Records of a query; its identity is its name."""
    return [
        {
            "schema": "xmir.retrieval/1",
            "query": f"/{query}.png",
            "query_identity": query,
            "retrieved": f"/{name}.png",
            **({"retrieved_identity": name} if identity else {}),
            "rank": rank,
            "similarity": 1 - rank / 10,
            "query_label": label,
            "retrieved_label": "a" if name in right else "b",
            "match": name in right,
            "model": OLD.to_json(),
        }
        for rank, name in enumerate(names, start=1)
    ]


def dump(name, records):
    Path(name).write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return name


def test_files_of_hits_are_compared_as_far_as_they_tell(xmir):
    """q: xyz to yxw; r: the same; s is missing in the new one, t in the old, one line fails."""
    old = [
        *hits("q", "xyz", right="x"),
        *hits("r", "xy", right="x"),
        *hits("s", "xy"),
    ]
    new = [*hits("r", "xy", right="x"), *hits("q", "yxw", right="x"), *hits("t", "x")]
    dump("old.jsonl", old)
    dump("new.jsonl", [*new, *hits("u", "x", identity=False)])
    done = xmir("compare", "old.jsonl", "new.jsonl", "--per-query", "--junit", "j.xml")
    assert done.code == 3
    first, second = done.records()
    assert (first["query_identity"], first["first_hit"]) == ("q", "right to wrong")
    assert (first["came"], first["went"]) == (1, 1)  # K is 1: the lists are short
    assert first["rbo"] == pytest.approx(0.09 + (0.081 + 0.729) * 2 / 3)
    assert (first["p_at_1_old"], first["p_at_1_new"]) == (1, 0)
    assert (first["mrr_old"], first["mrr_new"], first["mrr_difference"]) == (1, 0.5, -0.5)
    assert second["rbo"] == 1
    assert cases("j.xml") == [
        ("/s.png", ["skipped"]),
        ("/t.png", ["skipped"]),
        ("new: line 7", ["error"]),
    ]
    assert "note: in OLD only, missing in the other: 1 of the queries" in done.stderr
    (record,) = xmir("compare", "old.jsonl", "new.jsonl", "--summary", "--k", "3").records()
    assert record["overlap_at_3"] == pytest.approx((2 / 3 + 1) / 2)
    assert [record[name] for name in ("compared", "only_old", "only_new", "failed")] == [2, 1, 1, 1]


def test_hits_that_one_model_alone_has_are_asked_of_both(xmir):
    dump("old.jsonl", hits("q", "xyz", right="x"))
    new = [{**each, "model": NEW.to_json()} for each in hits("q", "ywx", right="x")]
    done = xmir("compare", "old.jsonl", dump("new.jsonl", new), "--k", "2", "--hits", "4")
    told = [
        (each["side"], each["retrieved_identity"], each["rank"], each["change"])
        for each in done.records()
    ]
    assert told == [
        ("old", "x", 1, "went"),
        ("old", "y", 2, "stayed"),
        ("old", "w", None, "came"),
        ("new", "x", 3, "went"),
        ("new", "y", 1, "stayed"),
        ("new", "w", 2, "came"),
    ]
    models = {each["side"]: each["model"]["weights"] for each in done.records()}
    assert models == {"old": "random:0", "new": "random:1"}
    assert "similarity" not in done.records()[2]
    stdin = Path("new.jsonl").read_text()
    assert xmir("compare", "old.jsonl", "-", "--k", "2", "--hits", "4", stdin=stdin) == done


def nothing(query, label="a"):
    """The record of a query that nothing is near."""
    (record,) = hits(query, "x", label)
    kept = {name: value for name, value in record.items() if name.startswith(("query", "model"))}
    return [{**kept, "schema": "xmir.retrieval/1", "answer": "none", "remark": "none is near"}]


def test_a_query_that_nothing_is_near_is_answered_and_no_failure(xmir):
    """q finds x and then nothing, r the other way round, s nothing twice."""
    dump("old.jsonl", [*hits("q", "x", right="x"), *nothing("r"), *nothing("s")])
    new = [*nothing("q"), *hits("r", "yx", right="x"), *nothing("s")]
    dump("new.jsonl", [{**each, "model": NEW.to_json()} for each in new])
    done = xmir("compare", "old.jsonl", "new.jsonl", "--summary")
    assert done.code == 0
    (record,) = done.records()
    assert [record[name] for name in ("compared", "only_old", "only_new", "failed")] == [3, 0, 0, 0]
    assert (record["rbo"], record["overlap_at_1"]) == (pytest.approx(0, abs=1e-12), 0)
    assert (record["mrr_old"], record["mrr_new"]) == (pytest.approx(1 / 3), pytest.approx(1 / 6))
    rows = xmir("compare", "old.jsonl", "new.jsonl", "--per-query").records()
    told = {row["query_identity"]: (row["came"], row["went"], row["rbo"]) for row in rows}
    assert (told["q"][:2], told["r"][:2], told["s"]) == ((0, 1), (1, 0), (0, 0, None))
    shown = xmir("compare", "old.jsonl", "new.jsonl").records()
    models = {(each["side"], each["model"]["weights"]) for each in shown}
    assert models == {("old", "random:0"), ("new", "random:1")}
    dump("none.jsonl", nothing("q"))
    alone = xmir("compare", "old.jsonl", "none.jsonl").records()
    assert [(each["side"], each["retrieved_identity"]) for each in alone] == [
        ("old", "x"),
        ("new", "x"),
    ]


def test_a_right_answer_that_becomes_none_has_become_wrong(xmir):
    """Five queries: what was found first, and what is found now, "" for nothing."""
    turns = {"a": ("x", ""), "b": ("", "x"), "c": ("y", ""), "d": ("x", "y"), "e": ("", "")}
    for side, name in enumerate(("old.jsonl", "new.jsonl")):
        found = {query: firsts[side] for query, firsts in turns.items()}
        answers = [
            hits(query, first, right="x") or nothing(query) for query, first in found.items()
        ]
        dump(name, [record for each in answers for record in each])
    rows = xmir("compare", "old.jsonl", "new.jsonl", "--per-query").records()
    assert {row["query_identity"]: row["first_hit"] for row in rows} == {
        "a": "right to none",
        "b": "none to right",
        "c": "wrong to none",
        "d": "right to wrong",
        "e": None,
    }
    done = xmir("compare", "old.jsonl", "new.jsonl", "--summary", "--max", "right_to_wrong=1")
    (record,) = done.records()
    assert (record["right_to_wrong"], record["wrong_to_right"]) == (2, 1)
    assert (done.code, "gate --max right_to_wrong=1: found 2" in done.stderr) == (4, True)
    shown = xmir("compare", "old.jsonl", "new.jsonl").records()
    assert {each["first_hit"] for each in shown if each["query_identity"] == "a"} == {
        "right to none"
    }


def test_a_copy_that_asks_and_one_that_is_found_count_beside_the_others(xmir):
    """q lies in two files in OLD; of x NEW finds a copy, of another path, too."""
    found = hits("q", "xy", right="x")
    copy = [{**each, "query": "/copy.png"} for each in hits("q", "yx", right="x")]
    dump("old.jsonl", [*found, *copy])
    first, second = hits("q", "xx", right="x")
    again = {**second, "retrieved": "/x2.png"}
    dump("new.jsonl", [first, again, first])  # and the same record again
    done = xmir("compare", "old.jsonl", "new.jsonl", "--summary", "--k", "1,2")
    (record,) = done.records()
    assert [record[name] for name in ("compared", "only_old", "only_new")] == [1, 1, 0]
    # /q.png is in both, and found x, then y; in NEW both copies of x
    assert [record[name] for name in ("overlap_at_1", "overlap_at_2")] == [1, 0.5]
    assert [record[f"p_at_2_{side}"] for side in ("old", "new")] == [0.5, 1]
    assert "copies" not in done.stderr


@pytest.mark.parametrize(("names", "of_first"), [("qx", "another"), ("q", "p")])
def test_the_patient_of_a_query_that_finds_itself_is_known(names, of_first, xmir):
    """Another record tells it, for the first one may be of a copy; else `meta` of the hit does."""
    records = []
    for query in "qr":
        first, *others = hits(query, names.replace("q", query))
        records.append({**first, "meta": {"patient": of_first + query * len(others)}})
        records += [{**each, "query_patient": "p"} for each in others]
    dump("old.jsonl", records)
    (record,) = xmir("compare", "old.jsonl", "old.jsonl", "--summary").records()
    assert (record["intervals"]["of"], record["intervals"]["units"]) == ("patients", 1)


def several(query, label, found):
    """Records of a query with these labels; of each hit its label."""
    (record, *_) = hits(query, "x", label)
    return [
        {
            **record,
            "retrieved": f"/{name}.png",
            "retrieved_identity": name,
            "rank": rank,
            "retrieved_label": labels,
            "match": bool({*label.split("|")} & {*labels.split("|")}),
        }
        for rank, (name, labels) in enumerate(found.items(), start=1)
    ]


def test_numbers_by_label_of_records_count_that_label_alone(xmir):
    """q has A and B; old: a A, b B, c C; new: c C, a A, b B. r has A alone: a, then c; the same."""
    labels = {"a": "A", "b": "B", "c": "C"}
    same = several("r", "A", {"a": "A", "c": "C"})
    for name, order in (("old.jsonl", "abc"), ("new.jsonl", "cab")):
        dump(name, [*several("q", "A|B", {each: labels[each] for each in order}), *same])
    asked = ("compare", "old.jsonl", "new.jsonl", "--summary", "--k", "1,2")
    (record,) = xmir(*asked).records()
    assert (record["p_at_2_old"], record["p_at_2_new"]) == ((1 + 0.5) / 2, (0.5 + 0.5) / 2)
    of = record["labels"]
    assert [of[label]["queries"] for label in "AB"] == [2, 1]
    assert (of["A"]["p_at_2_old"], of["A"]["p_at_2_new"]) == (0.5, 0.5)
    assert (of["B"]["p_at_2_old"], of["B"]["p_at_2_new"]) == (0.5, 0)
    assert (of["B"]["mrr_old"], of["B"]["mrr_new"]) == (1 / 2, pytest.approx(1 / 3))
    assert (of["A"]["recall_at_1_old"], of["A"]["recall_at_1_new"]) == (1, 0.5)
    macro = record["macro"]
    assert macro["mrr_old"] == pytest.approx((1 + 1 / 2) / 2)
    slim = [{k: v for k, v in each.items() if k != "retrieved_label"} for each in same]
    dump("slim.jsonl", [*several("q", "A|B", {"b": "B", "a": "A", "c": "C"}), *slim])
    (bare,) = xmir("compare", "slim.jsonl", "slim.jsonl", "--summary", "--k", "1,2").records()
    assert (bare["queries"], bare["labels"]["A"]["p_at_1_old"]) == (2, 0.5)  # q: b is none


def test_records_of_all_answers_have_the_numbers_of_their_archives(xmir):
    """Several labels, each of two images at least, every image found."""
    rng = np.random.default_rng(3)
    labels = ["a|b", "a", "b", "c|a", "c", "b|c", "a", "c"]
    for side, model in (("old", OLD), ("new", NEW)):
        write(f"{side}.parquet", rng.uniform(0, 3, 8), labels, model)
        xmir("index", f"{side}.parquet", "-o", f"{side}.xmir")
        found = xmir("query", "--all", "--no-self", "--top", "7", "--index", f"{side}.xmir")
        Path(f"{side}.jsonl").write_text(found.stdout)
    flags = ("--summary", "--k", "1,3")
    (whole,) = xmir("compare", "old.xmir", "new.xmir", *flags).records()
    (told,) = xmir("compare", "old.jsonl", "new.jsonl", *flags).records()
    numbers = {name for name in told if name.endswith("_difference")}
    assert numbers == {f"{x}_difference" for x in ("p_at_1", "p_at_3", "mrr", *RECALLS)}
    for of in (lambda each: each, lambda each: each["macro"], *OF_LABELS):
        for number in numbers:
            for name in (number, number.replace("_difference", "_old")):
                assert of(told)[name] == pytest.approx(of(whole)[name], abs=1e-9)
    turned = ("right_to_wrong", "wrong_to_right", "rbo", "came")
    assert [told[name] for name in turned] == pytest.approx([whole[name] for name in turned])


RECALLS = ("recall_at_1", "recall_at_3")
OF_LABELS = [lambda each, label=label: each["labels"][label] for label in "abc"]


def test_labels_of_new_hold_in_records_too(xmir):
    """The label of y is mended, nothing else changes: no answer turned."""
    dump("old.jsonl", several("q", "A", {"y": "B", "x": "A"}))
    dump("new.jsonl", several("q", "A", {"y": "A", "x": "A"}))
    done = xmir("compare", "old.jsonl", "new.jsonl", "--summary")
    (record,) = done.records()
    assert (record["p_at_1_old"], record["p_at_1_new"], record["wrong_to_right"]) == (1, 1, 0)
    assert "note: 1 images have another label in NEW: those of NEW hold" in done.stderr
    shown = xmir("compare", "old.jsonl", "new.jsonl").records()
    assert {(each["retrieved_label"], each["match"]) for each in shown} == {("A", True)}
    bare = [{**each, "query_label": None, "match": None} for each in several("q", "A", {"y": "A"})]
    (record,) = xmir("compare", "old.jsonl", dump("b.jsonl", bare), "--summary").records()
    assert (record["p_at_1_old"], record["p_at_1_new"]) == (1, 1)


def test_a_query_without_label_and_answers_is_no_miss(xmir):
    """Nobody knows what would have been right."""
    dump("old.jsonl", [*hits("q", "x", right="x"), *nothing("r", None)])
    (record,) = xmir("compare", "old.jsonl", "old.jsonl", "--summary").records()
    assert (record["queries"], record["dropped"], record["p_at_1_new"]) == (1, 1, 1)


def test_the_worst_query_lost_precision_most(xmir):
    """q loses one of two that were right, r one that was wrong; both find some as before."""
    dump("old.jsonl", [*hits("q", "xy", right="xy"), *hits("r", "xv", right="x")])
    dump("new.jsonl", [*hits("r", "xw", right="x"), *hits("q", "xz", right="xy")])
    rows = xmir("compare", "old.jsonl", "new.jsonl", "--per-query", "--k", "2").records()
    assert [row["query_identity"] for row in rows] == ["q", "r"]


def test_the_second_hit_is_not_the_first_where_that_cannot_be_read(xmir):
    """The first of q is wrong and lost its hash, of r nothing is lost."""
    dump("old.jsonl", [*hits("q", "xy", right="y"), *hits("r", "xy", right="x")])
    first, second = hits("q", "xy", right="y")
    del first["retrieved_identity"]
    dump("new.jsonl", [first, second, *hits("r", "xy", right="x")])
    done = xmir("compare", "old.jsonl", "new.jsonl", "--summary", "--k", 1)
    (record,) = done.records()
    assert (record["compared"], record["failed"], record["only_old"]) == (1, 2, 1)
    assert "new.jsonl: line 2: bad-record: another record of this query cannot" in done.stderr
    with Path("new.jsonl").open("w") as file:  # who asked on a line that is torn nobody knows
        file.write('{"schema": "xmir.retr\n' + json.dumps(second) + "\n")
        file.writelines(json.dumps(each) + "\n" for each in hits("r", "xy", right="x"))
    (record,) = xmir("compare", "old.jsonl", "new.jsonl", "--summary", "--k", 1).records()
    assert (record["compared"], record["failed"], record["only_old"]) == (1, 2, 1)
    dump("new.jsonl", [second, *hits("r", "xy", right="x")])  # left out on purpose, as jq does
    (record,) = xmir("compare", "old.jsonl", "new.jsonl", "--summary", "--k", 1).records()
    assert (record["compared"], record["failed"]) == (2, 0)
    dump("new.jsonl", [first, second])
    assert xmir("compare", "old.jsonl", "new.jsonl").stderr.splitlines()[-2] == (
        "xmir: error: the two have no query in common; 2 records of new.jsonl cannot be used"
    )


def test_answers_to_moved_queries_are_told_from_others(xmir):
    plain = hits("q", "xy", right="y")
    moved = [{**each, "toward": ["/far/drain.npy:0.5"], "like": ["a"]} for each in plain]
    dump("old.jsonl", plain)
    dump("new.jsonl", moved)
    assert "drain" not in xmir("compare", "new.jsonl", "new.jsonl", "--summary").stderr
    done = xmir("compare", "old.jsonl", "new.jsonl", "--summary")
    assert done.code == 0
    assert "asked in two ways: OLD without, NEW with `like`, `toward` drain.npy:0.5" in done.stderr


def test_a_query_with_two_answers_is_refused_and_regions_are_queries_of_their_own(xmir):
    one, other = hits("q", "xy"), hits("q", "zy")
    done = xmir("compare", dump("two.jsonl", [*one, *other]), dump("one.jsonl", one))
    assert (done.code, done.stderr.splitlines()) == (
        5,
        [
            "xmir: error: two.jsonl: /q.png: two images have the rank 1",
            "xmir: hint: Compare files in which each query has one answer.",
        ],
    )
    parts = [
        *({**each, "region": [0, 0, 8, 8]} for each in one),
        *({**each, "region": [8, 0, 8, 8]} for each in other),
    ]
    dump("parts.jsonl", parts)
    (record,) = xmir("compare", "parts.jsonl", "parts.jsonl", "--summary").records()
    assert (record["compared"], record["rbo"]) == (2, 1)
    assert xmir("compare", dump("again.jsonl", one + one), "one.jsonl").code == 0


def test_what_one_models_record_tells_of_a_hit_is_not_told_of_the_other(xmir):
    more = {"novelty": 0.5, "vote": {"a": 1.0}, "remark": "far", "rerank_distance": 0.25}
    dump("old.jsonl", [{**each, **more} for each in hits("q", "xy")])
    dump("new.jsonl", hits("q", "z"))
    for each in xmir("compare", "old.jsonl", "new.jsonl").records():
        own = each["side"] == "old" and each["retrieved_identity"] != "z"
        assert (more.keys() <= each.keys()) == own
        assert own or not more.keys() & each.keys()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--where", "split=test"), "--where: records hold the answers that were given"),
        (("--protocol", "query-gallery", "--where", "a=b"), "--protocol: records hold the"),
        (("--exclude-same", "patient"), "--exclude-same: records hold the answers"),
        (("--sample", "3"), "--sample: records hold the answers that were given"),
        (("--k", "3"), "--k: maps have no ranking"),
        (("--hits", "3"), "--hits: maps have no ranking"),
        (("--worst", "3", "--summary"), "--worst: not with --summary or --per-query, which"),
        (("--hits", "3", "--per-query"), "--hits: not with --summary or --per-query, which"),
    ],
)
def test_what_records_cannot_be_asked_is_refused(xmir, flags, said):
    dump("hits.jsonl", hits("q", "xyz"))
    dump("maps.jsonl", [scored("ax", "activation", 0.6, 0.3)])
    ranked = flags in {("--k", "3"), ("--hits", "3")}  # what hits can be asked
    for name in ("maps.jsonl", *([] if ranked else ["hits.jsonl"])):
        done = xmir("compare", name, name, *flags)
        assert done.code == 2
        assert done.stderr.startswith(f"xmir: error: {said}")


def scored(pair, method, insertion, deletion, patient=None, **more):
    query, retrieved = pair
    return {
        "schema": "xmir.causal/1",
        "query": f"/{query}.png",
        "query_identity": query,
        **({"query_patient": patient} if patient else {}),
        "retrieved": f"/{retrieved}.png",
        "retrieved_identity": retrieved,
        "method": method,
        "explains": "retrieved",
        "saliency": f"{query}{retrieved}.npy",
        "insertion": insertion,
        "deletion": deletion,
        "causal": {"order": "morf", "blur": "paper"},
        "model": OLD.to_json(),
        **more,
    }


def test_scored_maps_have_mean_differences_with_intervals_by_patient(xmir):
    pairs = ["ax", "ay", "bx", "cx"]
    old = [scored(pair, "activation", 0.6, 0.3, pair[0]) for pair in pairs]
    changes = [-0.2, -0.2, 0.1, 0.0]
    new = [
        scored(pair, "activation", 0.6 + change, 0.3 - change, pair[0])
        for pair, change in zip(pairs, changes, strict=True)
    ]
    gone = scored("dx", "activation", 0.5, 0.5, "d")
    broken = scored("ex", "activation", None, 0.5, "e")
    dump("old.jsonl", [*old, gone, scored("ex", "activation", 0.4, 0.5, "e")])
    dump("new.jsonl", [*new, broken])
    done = xmir("compare", "old.jsonl", "new.jsonl", "--summary", "--junit", "j.xml")
    (record,) = done.records()
    assert (record["method"], record["compared"], record["queries"]) == ("activation", 5, 4)
    assert record["insertion_difference"] == pytest.approx(np.mean(changes))
    assert record["deletion_difference"] == pytest.approx(-np.mean([*changes, 0]))
    # patients: a lost 0.2 twice, b gained 0.1, c stayed
    drawn = np.random.default_rng(1).integers(3, size=(4000, 3))
    sums, sizes = np.array([-0.4, 0.1, 0.0]), np.array([2, 1, 1])
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    assert record["insertion_difference_low"] == pytest.approx(low, abs=0.02)
    assert record["insertion_difference_high"] == pytest.approx(high, abs=0.02)
    assert record["intervals"]["of"] == "patients"
    assert [record[name] for name in ("only_old", "only_new", "failed")] == [1, 0, 1]
    assert [tags for _, tags in cases("j.xml")] == [["skipped"], ["error"]]
    worst = xmir("compare", "old.jsonl", "new.jsonl", "--worst", "2").records()
    assert [(each["side"], each["query"], each["insertion"]) for each in worst] == [
        ("old", "/a.png", 0.6),
        ("new", "/a.png", pytest.approx(0.4)),
    ] * 2
    rows = xmir("compare", "old.jsonl", "new.jsonl", "--per-query").records()
    assert [(row["query"], row["compared"]) for row in rows][:1] == [("/a.png", 2)]
    assert rows[0]["insertion_difference"] == pytest.approx(-0.2)
    assert {row["query"] for row in rows} == {"/a.png", "/b.png", "/c.png", "/e.png"}
    gate = xmir("compare", "old.jsonl", "new.jsonl", "--min", "insertion_difference=0")
    assert gate.code == 4
    assert "error: activation: gate --min insertion_difference=0: found -0.075" in gate.stderr
    other = [{**each, "causal": {"order": "morf", "blur": "rise"}} for each in new]
    refused = xmir("compare", "old.jsonl", dump("o.jsonl", other))
    assert refused.stderr.splitlines() == [
        "xmir: error: o.jsonl: line 1: scored with blur rise; line 1 of old.jsonl with blur paper",
        "xmir: hint: Compare maps that were scored in the same way.",
    ]


def test_maps_scored_in_two_ways_are_never_in_one_mean(xmir):
    """Both files have both ways in one order, or one of them says less."""
    lerf = {"causal": {"order": "lerf", "blur": "paper"}}
    both = [scored("ax", "activation", 0.6, 0.3), scored("bx", "activation", 0.3, 0.6, **lerf)]
    dump("b.jsonl", both)
    done = xmir("compare", "b.jsonl", "b.jsonl")
    assert (done.code, done.stderr.splitlines()[0]) == (
        5,
        "xmir: error: b.jsonl: line 2: scored with order lerf; line 1 of b.jsonl with order morf",
    )
    bare = {**both[0], "causal": {"blur": "paper"}}
    done = xmir("compare", "b.jsonl", dump("bare.jsonl", [bare]))
    assert "bare.jsonl: line 1: scored with no order; line 1 of b.jsonl" in done.stderr


def test_maps_of_two_settings_have_a_mean_each(xmir):
    """Whichever comes first; and where each file has one of them that is told."""
    fine, coarse = ({"settings": {"stride": 8, "window_size": size}} for size in (16, 32))
    old = [
        scored("ax", "occlusion", 0.6, 0.3, **fine),
        scored("ax", "occlusion", 0.4, 0.3, **coarse),
    ]
    new = [{**each, "insertion": each["insertion"] + 0.1} for each in old[::-1]]
    dump("old.jsonl", old)
    dump("new.jsonl", new)
    found = xmir("compare", "old.jsonl", "new.jsonl", "--summary").records()
    assert [(each["variant"], each["insertion_old"]) for each in found] == [
        ("window_size 32", 0.4),
        ("window_size 16", 0.6),
    ]
    rows = xmir("compare", "old.jsonl", "new.jsonl", "--per-query").records()
    assert {row["method"] for row in rows} == {
        "occlusion, window_size 32",
        "occlusion, window_size 16",
    }
    done = xmir("compare", dump("o.jsonl", old[:1]), dump("n.jsonl", new[:1]), "--summary")
    assert done.records()[0]["insertion_difference"] == pytest.approx(-0.1)
    said = "occlusion was made with other settings: window_size 16 in OLD, window_size 32 in NEW"
    assert f"xmir: note: {said}" in done.stderr
    means = [{"settings": {"center": name * 32}} for name in ("ab", "cd")]
    one, other = ([scored("ax", "activation", 0.6, 0.3, **each)] for each in means)
    done = xmir("compare", dump("o.jsonl", one), dump("n.jsonl", other))
    assert (done.code, "other settings" in done.stderr) == (0, False)  # each is its own index's


def test_records_of_two_networks_in_one_file_are_refused(xmir):
    maps = [scored(pair, "activation", 0.5, 0.5) for pair in ("ax", "bx")]
    for one, other in (maps, (hits("q", "x")[0], hits("r", "x")[0])):
        name = dump("two.jsonl", [one, {**other, "model": NEW.to_json()}])
        done = xmir("compare", name, name)
        assert (done.code, done.stderr.splitlines()) == (
            5,
            [
                "xmir: error: two.jsonl: records of two networks, abababababab and cdcdcdcdcdcd",
                "xmir: hint: Compare two files of one network each.",
            ],
        )


def located(pair, energy, patient=None, mask="opacity"):
    """A record of localization-metric; `patient` is of the retrieved image, which is explained."""
    record = scored(pair, "activation", 0.6, 0.3, "one")
    kept = {name: value for name, value in record.items() if name not in CAUSAL}
    return {
        **kept,
        "schema": "xmir.localization/1",
        "mask_name": mask,
        "energy": energy,
        "energy_chance": 0.1,
        "energy_gain": {"chance": energy - 0.1},
        "localization": {"hit_tolerance": 15, "threshold": 0.5},
        **({"meta": {"patient": patient}} if patient else {}),
    }


CAUSAL = {"insertion", "deletion", "causal"}


def test_located_maps_have_intervals_by_whose_the_explained_image_is(xmir):
    """One query of one patient; x and y are of p and lose, z of q stays. A reader's masks apart."""
    whose = {"x": "p", "y": "p", "z": "q"}
    old = [located(f"q{name}", 0.5, patient) for name, patient in whose.items()]
    new = [located(f"q{name}", 0.5 - 0.2 * (name != "z"), whose[name]) for name in "zyx"]
    dump("old.jsonl", [*old, located("qx", 0.4, "p", "reader 2")])
    dump("new.jsonl", [*new, located("qx", 0.6, "p", "reader 2")])
    first, second = xmir("compare", "old.jsonl", "new.jsonl", "--summary").records()
    assert (first["variant"], first["compared"]) == ("opacity", 3)
    assert first["energy_difference"] == pytest.approx(-0.4 / 3)
    assert (first["energy_difference_low"], first["energy_difference_high"]) == (
        pytest.approx(-0.2),  # p twice
        pytest.approx(0),
    )
    assert first["intervals"] | {"seed": 0} == {
        "of": "patients",
        "units": 2,
        "resamples": 2000,
        "level": 0.95,
        "seed": 0,
    }
    assert (second["variant"], second["energy_difference"]) == ("reader 2", pytest.approx(0.2))
    asked = ("compare", "old.jsonl", "new.jsonl")
    assert "energy_chance" in xmir(*asked, "--summary", "--format", "tsv").stdout
    table = xmir(*asked, "--summary", "--format", "table").stdout
    names = [line.split()[1] for line in table.splitlines()[1:]]
    assert names == ["energy", "energy_gain.chance"] * 2
    (said, _) = [line for line in xmir(*asked).stderr.splitlines() if "note: activation" in line]
    assert said == "xmir: note: activation, energy 0.5 -> 0.3667 (-0.1333 [-0.2, 0])"
    worst = xmir("compare", "old.jsonl", "new.jsonl", "--worst", "1").records()
    assert [(each["side"], each["energy"]) for each in worst] == [("old", 0.5), ("new", 0.3)]
    unknown = [located(f"q{name}", 0.5) for name in "xyz"]
    dump("unknown.jsonl", unknown)
    (found,) = xmir("compare", "unknown.jsonl", "unknown.jsonl", "--summary").records()
    assert (found["intervals"]["of"], found["intervals"]["units"]) == ("images", 3)


def test_maps_that_lost_most_are_first_whichever_pixels_went_first(xmir):
    """With the least relevant first, less insertion is better and more deletion."""
    lerf = {"causal": {"order": "lerf", "blur": "paper"}}
    dump("old.jsonl", [scored(pair, "activation", 0.5, 0.5, **lerf) for pair in ("ax", "bx")])
    new = [
        scored("ax", "activation", 0.7, 0.3, **lerf),
        scored("bx", "activation", 0.3, 0.7, **lerf),
    ]
    worst = xmir("compare", "old.jsonl", dump("new.jsonl", new), "--worst", "1").records()
    assert {each["query"] for each in worst} == {"/a.png"}


@pytest.mark.usefixtures("worse")
def test_a_table_of_the_summary_shows_what_matters_and_says_where_the_rest_is(xmir):
    """Twelve images of three labels: 60 numbers more, all of them in TSV and in the record."""
    asked = ("compare", "old.parquet", "new.parquet", "--summary", "--format")
    table, tsv = xmir(*asked, "table"), xmir(*asked, "tsv")
    lines = [line.split() for line in table.stdout.splitlines()[1:]]
    shown = [line[:2] for line in lines if line[0] in {"micro", "macro", "a", "b", "c"}]
    assert shown == [
        ["micro", "map"],
        ["micro", "p_at_1"],
        ["micro", "p_at_5"],
        ["micro", "p_at_10"],
        ["micro", "mrr"],
        *([over, name] for over in ("macro", "a", "b", "c") for name in ("map", "p_at_1")),
    ]
    more = len(tsv.stdout.splitlines()) - len(table.stdout.splitlines())
    assert more > 40
    assert f"note: {more} numbers more are told by --format tsv" in table.stderr
    assert "numbers more" not in tsv.stderr
    assert "numbers more" not in xmir("compare", "old.parquet", "new.parquet", "--summary").stderr


@pytest.mark.usefixtures("worse")
def test_sources_of_two_kinds_are_refused(xmir):
    dump("old.jsonl", hits("q", "xyz"))
    done = xmir("compare", "old.jsonl", "new.parquet")
    assert "one of the two holds records, and the other one vectors" in done.stderr
    dump("maps.jsonl", [scored("ax", "activation", 0.6, 0.3)])
    done = xmir("compare", "old.jsonl", "maps.jsonl")
    assert "old.jsonl holds xmir.retrieval/1, and maps.jsonl xmir.causal/1" in done.stderr
    Path("empty.jsonl").touch()
    done = xmir("compare", "empty.jsonl", "empty.jsonl")
    assert done.code == 5


@pytest.mark.usefixtures("worse")
def test_standard_input_holds_what_the_other_one_holds(xmir):
    """A stream of vectors as 'xmir embed' prints it, a receipt, or records."""
    (expected,) = xmir("compare", "old.parquet", "new.parquet", "--summary").records()
    with Path("new.arrow").open("wb") as file:
        write_stream(file, read_embeddings("new.parquet"))
    receipt = {"schema": "xmir.artifact/1", "kind": "embeddings", "path": "new.parquet"}
    dump("new.json", [receipt])
    for stdin in (Path("new.arrow").read_bytes(), Path("new.json").read_bytes()):
        (found,) = xmir("compare", "old.parquet", "-", "--summary", stdin=stdin).records()
        assert found == {**expected, "new": "-"}
    (found,) = xmir("compare", "old.parquet", "new.json", "--summary").records()
    assert found == {**expected, "new": "new.json"}
    (turned,) = xmir("compare", "-", "old.parquet", "--summary", stdin=stdin).records()
    assert turned["map_difference"] == -expected["map_difference"]


def test_why_is_the_next_stage_of_the_pipe(xmir, tiny_arch):
    """Both models' maps of the worst queries, side by side, from archives and from maps."""
    Path("images").mkdir()
    for number in range(6):
        grey = np.random.default_rng(number).integers(0, 255, (5, 6), dtype=np.uint8)
        picture = Image.fromarray(grey).resize((48, 40), Image.Resampling.BICUBIC)
        picture.save(f"images/{number}.png")
    for side, weights in (("old", "random:0"), ("new", "random:1")):
        flags = ("--arch", tiny_arch, "--weights", weights, "-o", f"{side}.parquet")
        assert xmir("embed", "images", *flags).code == 0
    pairs = xmir("compare", "old.parquet", "new.parquet", "--worst", "2", "--hits", "2", "--k", "2")
    assert len(pairs.records()) == 8
    maps = xmir("saliency", "-", "--method", "activation", stdin=pairs.stdout)
    assert (maps.code, len({each["saliency"] for each in maps.records()})) == (0, 8)
    for each in maps.records():
        assert each["similarity_check"] == pytest.approx(each["similarity"], abs=1e-4)
    drawn = xmir("montage", "-", "-o", "side.png", stdin=maps.stdout)
    assert drawn.code == 0
    with Image.open("side.png") as page:  # two hits: the image beside two maps each
        wide = page.width
    alone = "".join(line for line in maps.stdout.splitlines(True) if '"side": "old"' in line)
    assert xmir("montage", "-", "-o", "alone.png", stdin=alone).code == 0
    with Image.open("alone.png") as page:
        assert wide > page.width
    halves = [
        dump(
            f"{side}.jsonl",
            [
                {**each, "schema": "xmir.saliency/1"}
                for each in maps.records()
                if each["side"] == side
            ],
        )
        for side in ("old", "new")
    ]
    (found,) = xmir("compare", *halves, "--summary").records()
    assert (found["compared"], found["agreements"]) == (4, 4)
    assert -1 <= found["spearman_low"] <= found["spearman"] <= found["spearman_high"] <= 1
    worst = xmir("compare", *halves, "--worst", "1")
    assert [each["side"] for each in worst.records()] == ["old", "new"]
    assert xmir("montage", "-", "-o", "again.png", stdin=worst.stdout).code == 0


def test_what_new_does_not_say_of_an_image_is_as_old_says(xmir):
    angles, labels = [0.0, 0.1, 0.3, 0.6, 1.0, 1.5], list("aabbab")
    patients = list("ppqqrr")
    write("old.parquet", angles, labels, patients=patients)
    write("new.parquet", angles[::-1], labels, NEW, patients=patients)
    write("bare.parquet", angles[::-1], [None] * 6, NEW)
    flags = ("--exclude-same", "patient", "--summary", "--format", "jsonl")
    whole, bare = (
        xmir("compare", "old.parquet", name, *flags) for name in ("new.parquet", "bare.parquet")
    )
    (expected,), (found,) = whole.records(), bare.records()
    assert {**found, "new": ""} == {**expected, "new": ""}
    assert found["intervals"]["of"] == "patients"


def test_rankings_of_nothing_have_null_numbers(xmir):
    write("old.parquet", [0.0, 0.1, 0.3], list("aab"), patients=list("ppp"))
    write("new.parquet", [0.3, 0.1, 0.0], list("aab"), NEW, patients=list("ppp"))
    flags = ("--exclude-same", "patient", "--summary")
    result = xmir("compare", "old.parquet", "new.parquet", *flags, "--format", "jsonl")
    (record,) = result.records()
    told = {name: record[name] for name in ("overlap_at_1", "rbo", "came", "rbo_low")}
    assert (result.code, told) == (0, dict.fromkeys(told))
    result = xmir("compare", "old.parquet", "new.parquet", *flags[:2])
    assert "nan" not in result.stdout + result.stderr


def test_a_part_of_maps_that_is_gone_is_missing_and_not_taken_for_another(xmir):
    """The masks of two readers, of which the first has no numbers any more."""
    first, second = [located("qx", 0.5)], [located("qx", 0.1, mask="reader 2")]
    dump("both.jsonl", [*first, *second])
    dump("second.jsonl", second)
    before = xmir("compare", "both.jsonl", "both.jsonl", "--summary")
    assert [row["variant"] for row in before.records()] == ["opacity", "reader 2"]
    records = [{**row, "compared": 1, "energy_difference": 0.0} for row in before.records()]
    records[0]["energy_difference"] = 0.4  # nobody reaches it
    Path("b.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in records))
    asked = ("compare", "second.jsonl", "second.jsonl", "--baseline", "b.jsonl")
    done = xmir(*asked, "--junit", "j.xml")
    assert done.code == 0, done.stderr
    assert "note: 1 of 2 records of b.jsonl not met" in done.stderr
    assert cases("j.xml") == [
        ("reader 2: baseline", []),
        ("opacity: baseline", ["skipped"]),
    ]


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"query_text": "drain"},
        {"query_text": "drain", "query_templates": ["a {}", "no {}"], "text_weight": 0.25},
    ],
)
def test_pairs_have_the_same_hash_in_both_commands(words, xmir):
    """Whatever the order of lines, and each once; of queries with words these tell them apart."""
    maps = [scored(pair, "activation", 0.5, 0.3, **words) for pair in ("ax", "bx", "ay")]
    dump("maps.jsonl", [*maps, {**maps[0], "explains": "query"}])
    (two,) = xmir("compare", "maps.jsonl", "maps.jsonl", "--summary").records()
    tally = Tally(CAUSAL_METRIC, 0)
    for each in [*maps[::-1], maps[0]]:
        tally.add(each)
    (one,) = tally.rows()
    assert one["images_sha256"] == two["images_sha256"]
    plain = Tally(CAUSAL_METRIC, 0)
    for each in maps:
        plain.add({name: value for name, value in each.items() if name not in words})
    assert (plain.rows()[0]["images_sha256"] == one["images_sha256"]) == (not words)


def of_window(size, insertion):
    return scored("ax", "occlusion", insertion, 0.3, settings={"stride": 8, "window_size": size})


def test_a_baseline_knows_settings_whatever_else_is_in_the_file(xmir):
    """The maps of window 16 gain 0.2 over OLD, as they did; those of window 32 lose."""
    dump("old.jsonl", [of_window(16, 0.4), of_window(32, 0.4)])
    new = [of_window(16, 0.6), of_window(32, 0.1)]
    dump("one.jsonl", new[:1])
    dump("both.jsonl", new)
    dump("turned.jsonl", new[::-1])
    dump("worse.jsonl", [of_window(16, 0.3), of_window(32, 0.9)])
    dump("old16.jsonl", [of_window(16, 0.4)])
    for before, old in (("one", "old16"), ("one", "old"), ("both", "old"), ("turned", "old")):
        made = xmir("compare", f"{old}.jsonl", f"{before}.jsonl", "--summary")
        Path("b.jsonl").write_text(made.stdout)
        for now in ("both", "turned"):
            done = xmir("compare", "old.jsonl", f"{now}.jsonl", "--baseline", "b.jsonl")
            assert (done.code, "worse" in done.stderr) == (0, False), done.stderr
        done = xmir("compare", "old.jsonl", "worse.jsonl", "--baseline", "b.jsonl")
        assert (done.code, "insertion_difference 0.2000 -> -0.1000" in done.stderr) == (4, True)
        done = xmir("compare", "old16.jsonl", "one.jsonl", "--baseline", "b.jsonl")
        assert (done.code, "1 of 2 records" in done.stderr) == (0, before in {"both", "turned"})


def test_a_setting_that_changed_since_a_baseline_is_told(xmir):
    fine, coarse = (dump(f"{size}.jsonl", [of_window(size, 0.4)]) for size in (16, 32))
    Path("b.jsonl").write_text(xmir("compare", fine, fine, "--summary").stdout)
    for old, new, told in ((fine, coarse, "NEW"), (coarse, fine, "OLD")):
        done = xmir("compare", old, new, "--baseline", "b.jsonl")
        said = f"occlusion was made with window_size 16 in {told}, in this run with window_size 32"
        assert (done.code, f"xmir: note: b.jsonl: {said}\n" in done.stderr) == (0, True)
        assert done.stderr.count("was made with window") == 1
    assert "was made" not in xmir("compare", fine, fine, "--baseline", "b.jsonl").stderr


def test_a_gate_of_a_number_that_one_method_alone_has_is_an_error_in_the_other(xmir):
    gain = {"insertion_gain": {"center": 0.1}}
    both = [scored("qx", "activation", 0.5, 0.3, **gain), scored("qx", "occlusion", 0.5, 0.3)]
    dump("both.jsonl", both)
    asked = ("compare", "both.jsonl", "both.jsonl", "--junit", "j.xml")
    name = "insertion_gain_difference.center"
    done = xmir(*asked, "--min", f"{name}=0")
    assert done.code == 4
    assert f"occlusion: gate --min {name}=0: {name} is null" in done.stderr
    assert cases("j.xml") == [(f"--min {name}=0", []), (f"--min {name}=0", ["error"])]
