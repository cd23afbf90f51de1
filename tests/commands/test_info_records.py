"""`xmir info` on a file of records."""

from pathlib import Path

import pytest

LINES = """\
{"schema": "xmir.retrieval/1", "query_label": "sick", "similarity": 0.5, "rank": 1, "ok": true}
{"schema": "xmir.retrieval/1", "query_label": null, "similarity": 0.25, "rank": 2}
no{t
{"schema": "xmir.retrieval/1", "query_label": "old|sick", "similarity": 0.75, "more": {"a": [1]}}
{"damaged
"""


def test_records_tell_schemas_keys_labels_and_ranges(xmir):
    Path("a.jsonl").write_text(LINES)
    result = xmir("info", "a.jsonl")
    assert (result.code, result.stderr) == (0, "")
    (record,) = result.records()
    assert record == {
        "schema": "xmir.info/1",
        "path": "a.jsonl",
        "kind": "records",
        "bytes": len(LINES),
        "rows": 4,
        "unusable": 1,
        "schemas": {"xmir.retrieval/1": 3, "-": 1},
        "columns": ["query_label", "similarity", "rank", "ok", "path", "more"],
        "labels": {"query_label": {"sick": 2, "old": 1, "-": 1}},
        "ranges": {
            "similarity": {"minimum": 0.25, "maximum": 0.75, "mean": 0.5},
            "rank": {"minimum": 1, "maximum": 2, "mean": 1.5},
        },
    }
    listed = xmir("info", "a.jsonl", "--format", "list").stdout
    assert "{" not in listed
    assert "  similarity     0.25     0.75   0.5\n" in listed


def test_records_of_queries_tell_how_many_and_how_often_they_are_right(xmir):
    lines = [
        '{"query": "a.png", "query_identity": "a", "match": true}',
        '{"query": "again.png", "query_identity": "a", "match": false}',
        '{"query": "a.png", "query_identity": null, "match": null}',
        '{"query": null, "query_text": "opacity", "match": true}',
    ]
    Path("a.jsonl").write_text("\n".join(lines))
    (record,) = xmir("info", "a.jsonl").records()
    assert (record["rows"], record["queries"]) == (4, 3)
    assert record["labels"] == {"match": {"yes": 2, "no": 1, "-": 1}}


@pytest.mark.parametrize("text", ['{"a":1}\n{"a":2}\n', '{"a": 1}{\n{"a":2}\n{"a":1}\n'])
def test_the_ninth_byte_makes_no_tensors_of_records(xmir, text: str):
    Path("a.jsonl").write_text(text)
    assert xmir("info", "a.jsonl").records()[0]["rows"] == 2
    assert xmir("info", "--verify", "a.jsonl").records()[0]["checksum"] == "no checksum"


def test_a_file_without_any_record_is_refused(xmir):
    Path("a.jsonl").write_text("{damaged\n")
    result = xmir("info", "a.jsonl")
    assert result.code == 5
    assert "a.jsonl: no line of it is a record" in result.stderr


def test_numbers_too_large_for_a_sum_are_no_fault(xmir):
    Path("a.jsonl").write_text('{"x": 1e308}\n' * 3)
    result = xmir("info", "a.jsonl")
    assert result.code == 0
    assert result.records()[0]["ranges"]["x"]["maximum"] == 1e308
