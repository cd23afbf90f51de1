"""Copies of an image in files of hits: the first by name is copy 1 of both, wherever they lie."""

import json
from collections import defaultdict
from itertools import count
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from xmir_cli.scoring.compare.copies import copy_of, number_copies
from xmir_cli.store.embeddings import Embeddings, write_embeddings
from xmir_cli.wire.model import ModelSpec

# images 2 and 9 are copies of 4, of other patients, 2 of another label
SHA256 = [f"{4 if number in {2, 9} else number:064x}" for number in range(12)]
LABELS = [*"aabbabbabbab"]
PATIENTS = [f"p{number // 2}" for number in range(12)]
ANGLES = {"old": np.linspace(0, 2, 12), "new": np.linspace(0, 2, 12)[::-1] ** 2 / 2}


def write(side, apart=0.0, rows=range(12)):
    """An archive in a folder of its own, whose copies are so far apart."""
    angles = ANGLES[side].copy()
    angles[[2, 9]] = angles[4] + apart * np.array([1, -1])
    angles = angles[[*rows]]
    items = pa.table(
        {
            "id": [f"{number:02}" for number in rows],
            "path": [f"/{side}/{number:02}.png" for number in rows],
            "sha256": [SHA256[number] for number in rows],
            "width": pa.array([64] * len(rows), pa.int32()),
            "height": pa.array([48] * len(rows), pa.int32()),
            "label": [LABELS[number] for number in rows],
            "patient": [PATIENTS[number] for number in rows],
        }
    )
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    model = ModelSpec("tiny", "random:0", weights_sha256="ab" * 32)
    write_embeddings(Path(f"{side}.parquet"), Embeddings(items, vectors, model))


def ask(side, xmir, *flags, **archive):
    """The records of all queries to an archive's index."""
    write(side, **archive)
    assert xmir("index", f"{side}.parquet", "-o", f"{side}.xmir").code == 0
    done = xmir("query", "--all", "--top", "12", "-i", f"{side}.xmir", *flags)
    assert done.code == 0, done.stderr
    return done.records()


def dump(name, records):
    Path(name).write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return name


def without(records, leaves_out):
    """Records without some of them, the ranks of each query counted again."""
    ranks = defaultdict(count)
    kept = [each for each in records if not leaves_out(each)]
    return [{**each, "rank": next(ranks[each["query"]]) + 1} for each in kept]


def is_itself(record):
    return record["query"] == record["retrieved"]


def is_of_its_patient(record):
    asking, found = (Path(record[name]).stem for name in ("query", "retrieved"))
    return PATIENTS[int(asking)] == PATIENTS[int(found)]


@pytest.mark.parametrize("apart", [0, 1e-3])
@pytest.mark.parametrize(
    ("leaves_out", "flags"),
    [(is_itself, []), (is_of_its_patient, ["--exclude-same", "patient"])],
)
def test_the_numbers_are_those_of_the_archives(leaves_out, flags, apart, xmir):
    """Right answers only where copies are no ties, of which archives take the mean."""
    for side in ("old", "new"):
        dump(f"{side}.jsonl", without(ask(side, xmir, apart=apart), leaves_out))
    asked = ("--summary", "--k", "1,3,5")
    (whole,) = xmir("compare", "old.parquet", "new.parquet", *asked, *flags).records()
    (told,) = xmir("compare", "old.jsonl", "new.jsonl", *asked).records()
    names = {"compared", "only_old", "only_new", "rbo", "came", "went"}
    names |= {f"overlap_at_{cutoff}" for cutoff in (1, 3, 5)}
    if apart:
        names |= {f"p_at_{k}_{of}" for k in (1, 3, 5) for of in ("old", "new", "difference")}
        names |= {"right_to_wrong", "wrong_to_right"}
    expected = {name: whole[name] for name in names}
    assert {name: told[name] for name in names} == pytest.approx(expected, abs=1e-9)
    assert (told["compared"], told["overlap_at_3"] < 1) == (12, True)


def number(records, name, key):
    """By a loop: who each name is, an identity and which of its copies."""
    names = {}
    for each in records:
        names.setdefault(each[f"{name}_identity"], set()).add(key(each))
    return {
        (identity, one): sorted(several).index(one)
        for identity, several in names.items()
        for one in several
    }


def rankings(records):
    """By a loop: of each query its hits, each with whether it is right, the nearest first.

    Paths of the two sides differ, so that queries are known by their order; ids of hits do not.
    """
    asking = number(records, "query", lambda each: each["query"])
    told = defaultdict(list)
    for each in sorted(records, key=lambda each: each["rank"]):
        identity, hit = each["query_identity"], each["retrieved_identity"]
        query = (identity, asking[identity, each["query"]])
        told[query].append(((hit, each["meta"]["id"]), each["match"]))
    return told


@pytest.mark.parametrize("flags", [[], ["--no-self"], ["--exclude-same", "patient"]])
@pytest.mark.parametrize("rows", [range(12), [0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11]])
def test_the_numbers_are_those_of_a_loop(rows, flags, xmir):
    """Also where NEW lacks a copy: it has two of three. The lines are in any order."""
    old, new = ask("old", xmir, *flags), ask("new", xmir, *flags, rows=rows)
    new = [new[row] for row in np.random.default_rng(0).permutation(len(new))]
    dump("old.jsonl", old)
    dump("new.jsonl", new)
    done = xmir("compare", "old.jsonl", "new.jsonl", "--summary", "--k", "1,3")
    (told,) = done.records()
    assert "copies" not in done.stderr
    before, after = rankings(old), rankings(new)
    both = before.keys() & after.keys()
    lacks = 12 - len(rows)
    assert (told["compared"], told["only_old"], told["only_new"]) == (12 - lacks, lacks, 0)
    for k in (1, 3):
        shared = [
            len({hit for hit, _ in before[each][:k]} & {hit for hit, _ in after[each][:k]}) / k
            for each in both
        ]
        assert told[f"overlap_at_{k}"] == pytest.approx(np.mean(shared))
        if not lacks:  # else labels are others
            for side, found in (("old", before), ("new", after)):
                right = [sum(match for _, match in found[each][:k]) / k for each in both]
                assert told[f"p_at_{k}_{side}"] == pytest.approx(np.mean(right))


def test_the_records_of_the_worst_queries_are_those_of_their_copies(xmir):
    for side in ("old", "new"):
        dump(f"{side}.jsonl", ask(side, xmir))
    shown = xmir("compare", "old.jsonl", "new.jsonl", "--worst", "12", "--hits", "12").records()
    told = {
        (side, each["query"], each["rank"]): each
        for side in ("old", "new")
        for each in map(json.loads, Path(f"{side}.jsonl").read_text().splitlines())
    }
    assert {(each["side"], each["query"]) for each in shown} == {each[:2] for each in told}
    for each in shown:
        side = each["side"]
        own = told[side, each["query"], each["rank"]]
        names = ("retrieved", "similarity", "retrieved_label", "match", "meta")
        assert {name: each[name] for name in names} == {name: own[name] for name in names}


def test_copies_have_numbers_by_name_whatever_their_order():
    images = [("x", "b"), ("y", "only"), ("x", "a"), ("x", "c"), ("x", "b"), ("z", "a"), ("z", "")]
    copies, _ = number_copies(images, [])
    assert [copy_of(each, copies) for each in images] == [
        ("x", 2),
        ("y", 1),
        ("x", 1),
        ("x", 3),
        ("x", 2),
        ("z", 2),
        ("z", 1),
    ]


def test_a_copy_that_one_file_lacks_makes_no_other_one_of_the_rest():
    old, new = number_copies([("x", "b"), ("y", "b")], [("x", "c"), ("x", "b"), ("x", "a")])
    assert copy_of(("x", "b"), old) == copy_of(("x", "b"), new) == ("x", 2)
    assert [copy_of(("x", each), new) for each in "ac"] == [("x", 1), ("x", 3)]
    assert copy_of(("y", "b"), old) == ("y", 1)


def test_copies_of_files_that_moved_are_known_by_their_order():
    old, new = number_copies([("x", "/a/1"), ("x", "/a/2")], [("x", "/b/2"), ("x", "/b/1")])
    assert copy_of(("x", "/a/1"), old) == copy_of(("x", "/b/1"), new) == ("x", 1)
    assert copy_of(("x", "/a/2"), old) == copy_of(("x", "/b/2"), new) == ("x", 2)
