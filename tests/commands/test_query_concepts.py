"""`xmir query --toward` and `--concept`, beside numbers worked out by hand."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from xmir_cli.store.concepts import write_concept
from xmir_cli.store.embeddings import Embeddings, write_embeddings
from xmir_cli.wire.model import ModelSpec

MODEL = ModelSpec("tiny", "random:0", weights_sha256="ab" * 32)
COUNT, DIM, SHUFFLES = 12, 5, 99


def _unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def _random(seed, *shape):
    return _unit(np.random.default_rng(seed).normal(size=shape)).astype(np.float32)


VECTORS = _random(0, COUNT, DIM)
DIRECTIONS = {"mark": _random(1, DIM), "other": _random(2, DIM)}
SHUFFLED = {"mark": _random(3, SHUFFLES, DIM), "other": _random(4, SHUFFLES, DIM)}


def _index(xmir, name="e", vectors=VECTORS, *flags):
    names = [f"i{each}" for each in range(len(vectors))]
    items = pa.table(
        {
            "id": names,
            "path": [f"/pictures/{name}.png" for name in names],
            "sha256": [f"{each:064x}" for each in range(len(vectors))],
            "width": pa.array([64] * len(vectors), pa.int32()),
            "height": pa.array([48] * len(vectors), pa.int32()),
            "label": pa.array(["x"] * len(vectors), pa.string()),
        }
    )
    write_embeddings(Path(f"{name}.parquet"), Embeddings(items, vectors, MODEL))
    assert xmir("index", f"{name}.parquet", "-o", f"{name}.xmir", *flags).code == 0


@pytest.fixture
def index(xmir):
    _index(xmir)
    for name, direction in DIRECTIONS.items():
        write_concept(Path(f"{name}.npy"), direction, SHUFFLED[name], MODEL, {})


def _ids(records):
    return [record["meta"]["id"] for record in records]


def _order(aim):
    return [f"i{row}" for row in np.argsort(-(VECTORS.astype(np.float64) @ aim), kind="stable")]


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("weight", [0.5, -2.0, 0.0])
def test_hits_are_those_nearest_to_the_query_plus_the_concept(xmir, weight):
    records = xmir(
        "query", "--id", "i3", "--top", COUNT, "--toward", f"mark.npy:{weight}"
    ).records()
    aim = _unit(VECTORS[3].astype(np.float64) + weight * DIRECTIONS["mark"])
    assert _ids(records) == _order(aim)
    for record in records:
        own = VECTORS[int(record["meta"]["id"][1:])].astype(np.float64)
        assert record["relevance"] == pytest.approx(own @ aim, abs=1e-6)
        assert record["similarity"] == pytest.approx(own @ VECTORS[3], abs=1e-6)
        assert record["toward"] == [f"mark.npy:{weight:g}"]
        assert len(record["toward_sha256"][0]) == 64
        assert "like" not in record


@pytest.mark.usefixtures("index")
def test_several_concepts_go_with_examples_and_vectors(xmir):
    both = ["--toward", "mark.npy:0.5", "--toward", "other.npy:-1"]
    add = 0.5 * DIRECTIONS["mark"].astype(np.float64) - DIRECTIONS["other"]
    moved = _unit((VECTORS[3] + VECTORS[5]) / 2 - VECTORS[7] / 2)
    found = xmir(
        "query", "--id", "i3", "--like", "i5", "--unlike", "i7", "--top", COUNT, *both
    ).records()
    expected = [name for name in _order(moved + add) if name not in {"i5", "i7"}]
    assert _ids(found) == expected
    assert found[0]["like"] == ["/pictures/i5.png"]
    np.save("q.npy", VECTORS[3])
    assert _ids(xmir("query", "--vector", "q.npy", "--top", COUNT, *both).records()) == _order(
        VECTORS[3] + add
    )
    assert len(xmir("query", "--all", "--top", 2, *both).records()) == 2 * COUNT


@pytest.mark.usefixtures("index")
def test_a_concept_and_the_rest_add_up_to_the_similarity(xmir):
    flags = ["--concept", "mark.npy", "--concept", "other.npy"]
    for record in xmir("query", "--id", "i3", "--top", COUNT, *flags).records():
        own = VECTORS[int(record["meta"]["id"][1:])].astype(np.float64)
        for name, direction in DIRECTIONS.items():
            query, retrieved = VECTORS[3].astype(np.float64) @ direction, own @ direction
            part = record["concept_part"][name]
            assert record["concept_query"][name] == pytest.approx(query, abs=1e-6)
            assert record["concept_retrieved"][name] == pytest.approx(retrieved, abs=1e-6)
            assert part == pytest.approx(query * retrieved, abs=1e-6)
            assert part + record["concept_rest"][name] == pytest.approx(record["similarity"])
            share = record["concept_share"][name]
            if record["similarity"] > 0:
                assert share == pytest.approx(part / record["similarity"])
            else:
                assert share is None
            reached = 1
            for chance in SHUFFLED[name].astype(np.float64):
                reached += abs((VECTORS[3] @ chance) * (own @ chance)) >= abs(query * retrieved)
            assert record["concept_p"][name] == pytest.approx(reached / (SHUFFLES + 1), abs=1e-9)


@pytest.mark.usefixtures("index")
def test_what_a_concept_holds_is_of_the_similarity_whatever_the_order(xmir):
    flags = ["query", "--id", "i3", "--top", COUNT, "--concept", "mark.npy"]
    plain = {r["meta"]["id"]: r for r in xmir(*flags).records()}
    moved = [["--toward", "mark.npy:2"], ["--like", "i5"]]
    for more in moved:
        for record in xmir(*flags, *more).records():
            same = plain[record["meta"]["id"]]
            for key in ("concept_part", "concept_rest", "concept_p", "similarity"):
                assert record[key] == pytest.approx(same[key], abs=1e-6)


@pytest.mark.usefixtures("index")
def test_vectors_kept_in_float16_have_exact_shares_too(xmir):
    _index(xmir, "half", VECTORS, "--store", "float16")
    kept = VECTORS.astype(np.float16).astype(np.float64)
    flags = ["--concept", "mark.npy", "-i", "half.xmir"]
    for record in xmir("query", "--id", "i3", "--top", COUNT, *flags).records():
        own = kept[int(record["meta"]["id"][1:])]
        part = record["concept_part"]["mark"]
        assert part == pytest.approx((kept[3] @ DIRECTIONS["mark"]) * (own @ DIRECTIONS["mark"]))
        assert part + record["concept_rest"]["mark"] == pytest.approx(own @ kept[3], abs=1e-12)


@pytest.mark.usefixtures("index")
def test_a_table_has_the_share_and_its_p(xmir):
    flags = ["--concept", "mark.npy", "--toward", "mark.npy:1", "--format", "csv"]
    head = xmir("query", "--id", "i3", "--top", 1, *flags).stdout.splitlines()[0]
    expected = "rank,relevance,similarity,concept_share.mark,concept_p.mark,meta.id"
    assert head.startswith(expected)


def _refused(xmir, *flags):
    result = xmir("query", "--id", "i3", *flags)
    assert result.stdout == ""
    return result.code, result.stderr.splitlines()[0].removeprefix("xmir: error: ")


@pytest.mark.usefixtures("index")
def test_what_is_no_concept_of_this_index_is_refused(xmir):
    for text in ("mark.npy", "mark.npy:much", "mark.npy:nan", "mark.npy:1e9", ":1"):
        assert _refused(xmir, "--toward", text) == (
            2,
            f"--toward {text}: expected FILE.npy:W, W from -1e+06 to 1e+06",
        )
    other = ModelSpec("tiny", "random:1", weights_sha256="cd" * 32)
    write_concept(Path("foreign.npy"), DIRECTIONS["mark"], SHUFFLED["mark"], other, {})
    place = Path("e.xmir").absolute()
    for flags in (["--toward", "foreign.npy:1"], ["--concept", "foreign.npy"]):
        assert _refused(xmir, *flags) == (
            5,
            f"foreign.npy: a concept of another model than {place}",
        )
    np.save("bare.npy", DIRECTIONS["mark"])
    assert _refused(xmir, "--concept", "bare.npy") == (
        5,
        "bare.npy: no concept: bare.json is not beside it",
    )
    assert _refused(xmir, "--concept", "e.parquet") == (
        5,
        "e.parquet: no concept (.npy), but a Parquet file",
    )
    assert _refused(xmir, "--concept", "nowhere.npy") == (
        5,
        "nowhere.npy: no such file or directory",
    )
    np.save("mark.npy", DIRECTIONS["other"])
    assert _refused(xmir, "--toward", "mark.npy:1") == (
        5,
        "mark.npy: not the direction that mark.json tells of",
    )
    np.save("other.shuffled.npy", SHUFFLED["mark"])
    assert _refused(xmir, "--concept", "other.npy") == (
        5,
        "other.shuffled.npy: not the one that was made with other.npy",
    )
    Path("other.shuffled.npy").unlink()
    assert _refused(xmir, "--concept", "other.npy") == (
        5,
        "other.shuffled.npy: no such file; it lies beside other.npy for its p",
    )
    assert xmir("query", "--id", "i3", "--toward", "other.npy:1").code == 0
    told = json.loads(Path("other.json").read_text())
    Path("other.json").write_text(json.dumps({**told, "model": other.to_json()}))
    assert _refused(xmir, "--toward", "other.npy:1") == (
        5,
        "other.json: damaged description of a concept (checksum)",
    )


@pytest.mark.usefixtures("index")
def test_two_concepts_of_one_name_are_refused(xmir):
    Path("more").mkdir()
    write_concept(Path("more/mark.npy"), DIRECTIONS["other"], SHUFFLED["other"], MODEL, {})
    flags = ["--concept", "mark.npy", "--concept", "more/mark.npy"]
    assert _refused(xmir, *flags) == (2, "--concept mark: several are called so")


@pytest.mark.usefixtures("index")
def test_a_query_that_a_concept_cancels_out_is_refused(xmir):
    np.save("q.npy", -DIRECTIONS["mark"])
    result = xmir("query", "--vector", "q.npy", "--toward", "mark.npy:1")
    assert result.code == 2
    assert "--toward: the query and the concepts cancel each other out" in result.stderr
