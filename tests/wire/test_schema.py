"""Records are read as typed views: each fault has one wording, and unknown keys stay."""

from pathlib import Path

import pytest

import xmir_cli
from xmir_cli.errors import ItemError
from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.schema import keys_of, read_view
from xmir_cli.wire.schemas import all_schemas, path_keys
from xmir_cli.wire.schemas.causal import CausalRecord
from xmir_cli.wire.schemas.retrieval import RetrievalRecord
from xmir_cli.wire.schemas.saliency import SaliencyRecord

PAIR = {"query": "q.png", "retrieved": "r.png"}


def test_a_view_has_the_values_and_the_whole_record():
    record = {
        **PAIR,
        "rank": 2,
        "similarity": 1,
        "mine": [1],
        "model": ModelSpec("a", "b").to_json(),
    }
    view = read_view(SaliencyRecord, record)
    assert (view.query, view.rank, view.similarity, view.explains) == ("q.png", 2, 1, "retrieved")
    assert view.model == ModelSpec("a", "b")
    assert view.record is record
    assert view.match is None


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"query": None}, "query: expected a string, found nothing"),
        ({"query": 5}, "query: expected a string, found 5"),
        ({"similarity": "high"}, "similarity: expected a number from -1 to 1, found a string"),
        ({"similarity": True}, "similarity: expected a number from -1 to 1, found true"),
        ({"similarity": 1.1}, "similarity: expected a number from -1 to 1, found 1.1"),
        ({"similarity": -7}, "similarity: expected a number from -1 to 1, found -7"),
        (
            {"similarity": float("nan")},
            "similarity: expected a number from -1 to 1, found no number of 64 bits",
        ),
        ({"novelty": -0.5}, "novelty: expected a number from 0 to 1, found -0.5"),
        ({"rank": 1.5}, "rank: expected a whole number from 1, found 1.5"),
        ({"rank": -1}, "rank: expected a whole number from 1, found -1"),
        ({"rank": 0}, "rank: expected a whole number from 1, found 0"),
        ({"evaluations": -1}, "evaluations: expected a whole number from 0, found -1"),
        ({"text_cut": -3}, "text_cut: expected a whole number from 0, found -3"),
        ({"match": "yes"}, "match: expected true or false, found 'yes'"),
        ({"explains": "Query"}, "explains: expected query or retrieved, found 'Query'"),
        ({"roi": [0, 0, -1, 5]}, "roi: expected a box of four numbers, found a list"),
        ({"region": [0, 0, 1]}, "region: expected a box of four numbers, found a list"),
        ({"meta": []}, "meta: expected an object, found a list"),
        ({"model": 5}, "model: expected an object, found 5"),
        ({"model": {}}, "model: not the description of a model ('preprocessing')"),
        ({"negatives": [1]}, "negatives: expected a string or strings, found a list"),
    ],
)
@pytest.mark.parametrize("schema", [SaliencyRecord, CausalRecord])
def test_a_fault_has_the_same_words_in_every_stage(schema, change, fault):
    with pytest.raises(ItemError) as caught:
        read_view(schema, {**PAIR, **change})
    assert caught.value.reason == f"bad-record: {fault}"


def test_rounding_is_no_fault():
    """The cosine of two vectors of half precision may lie a little beyond 1."""
    assert read_view(RetrievalRecord, {**PAIR, "similarity": 1.0004}).similarity == 1.0004
    assert read_view(RetrievalRecord, {**PAIR, "similarity": -1}).similarity == -1


def test_null_counts_as_absent():
    view = read_view(
        SaliencyRecord, {**PAIR, "query_label": None, "explains": None, "overlay": None}
    )
    assert (view.query_label, view.explains, view.overlay) == (None, "retrieved", None)


def test_every_stage_keeps_the_keys_of_the_one_before():
    first, second, third = (
        list(keys_of(each)) for each in (RetrievalRecord, SaliencyRecord, CausalRecord)
    )
    assert second[: len(first)] == first
    assert third[: len(second)] == second


@pytest.mark.parametrize("name", all_schemas())
def test_the_table_is_whole(name: str):
    schema = all_schemas()[name]
    assert name.startswith("xmir.")
    assert name.endswith("/1")
    assert schema.WRITTEN_BY
    assert schema.__doc__
    for key, own in keys_of(schema).items():
        assert own.meaning, key
        assert not own.meaning.endswith("."), key


@pytest.mark.parametrize("name", all_schemas())
def test_a_schema_says_its_name_and_nobody_else_does(name: str):
    sources = Path(xmir_cli.__file__).parent.rglob("*.py")
    said = [path.name for path in sources if f'"{name}"' in path.read_text()]
    stem = name.removeprefix("xmir.").removesuffix("/1").replace("-", "_")
    assert said == [f"{stem}.py"]


def test_these_are_the_schemas():
    assert set(all_schemas()) == {
        f"xmir.{name}/1"
        for name in (
            "artifact", "atlas", "audit", "audit-query", "audit-summary", "causal",
            "causal-summary", "cluster", "cluster-summary", "compare", "compare-query",
            "compare-summary", "concept", "description", "difference", "doctor", "epoch",
            "info", "localization", "localization-summary", "retrieval", "retrieval-metric",
            "retrieval-query", "saliency", "sanity", "shortcut",
        )
    }  # fmt: skip


def test_paths_are_known_by_their_keys():
    assert {"query", "retrieved", "saliency", "overlay", "index", "negatives"} <= path_keys()
    assert not path_keys() & {"method", "query_label", "meta", "query_identity"}
