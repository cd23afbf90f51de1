from xmir_cli.scoring.numbers import list_gone, name_numbers, pick_numbers
from xmir_cli.wire.schemas.retrieval_metric import RetrievalMetricRecord

RECORD = {
    "schema": "xmir.retrieval-metric/1",
    "gallery": None,
    "sample": {"queries": 5},
    "queries": 4,
    "map": 0.5,
    "p_at_1": None,
    "macro": {"map": None},
    "labels": {"a.b": {"map": 1, "queries": 3}, "c": {"map": True}},
    "model": {"head": 3},
}


def test_numbers_are_what_was_found_and_not_how():
    found = pick_numbers(RECORD, RetrievalMetricRecord)
    assert name_numbers(found) == {
        "queries": 4,
        "map": 0.5,
        "p_at_1": None,
        "macro.map": None,
        "labels.a.b.map": 1,
        "labels.a.b.queries": 3,
    }
    flat = pick_numbers(RECORD, RetrievalMetricRecord, deep=False)
    assert name_numbers(flat) == {"queries": 4, "map": 0.5, "p_at_1": None}


def test_a_number_that_is_gone_is_told_once_and_an_object_by_its_own_name():
    before = {
        "p_at_5": 1.0,
        "map": 0.5,
        "none": None,
        "labels": {"a": {"p_at_5": 1.0, "map": 1}, "b": {"map": 1}, "c": {"named": "x"}},
        "macro": {"p_at_5": 1.0, "mrr": 0.5},
    }
    now = {"map": 0.4, "labels": {"a": {"map": None}}, "macro": {}}
    assert list(list_gone(before, now)) == ["p_at_5", "labels.b", "macro.mrr"]
    assert list(list_gone(before, before)) == []
