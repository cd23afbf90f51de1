from pathlib import Path

import pytest

from xmir_cli.causes import Cause
from xmir_cli.console import Skips
from xmir_cli.errors import ItemError, SettingError
from xmir_cli.explain.requests import Request, group_requests, pair_requests, read_requests
from xmir_cli.wire.model import ModelSpec

SPEC = ModelSpec("toy", "random:0", weights_sha256="abc")


def retrieval(query, retrieved, spec=SPEC):
    return {
        "query": query, "retrieved": retrieved, "similarity": 0.5, "model": spec.to_json(),
    }  # fmt: skip


def test_retrieval_record_carries_its_network():
    [request] = read_requests([(1, retrieval("q.png", "r.png"))], None, Skips())
    assert (request.query, request.retrieved, request.spec) == ("q.png", "r.png", SPEC)
    assert (request.similarity, request.name, request.is_self) == (0.5, "line 1", False)


def test_flags_move_the_network_but_not_its_identity():
    given = ModelSpec("other.py:network", "/new/place.safetensors", head=9)
    [request] = read_requests([(1, retrieval("q.png", "r.png"))], given, Skips())
    assert (request.spec.architecture, request.spec.weights) == (given.architecture, given.weights)
    assert (request.spec.head, request.spec.weights_sha256) == (None, "abc")


def test_path_is_compared_with_itself_under_the_given_network():
    [request] = read_requests([(4, {"path": "a.png", "label": "x"})], SPEC, Skips())
    assert request.is_self
    assert request.spec == SPEC
    assert request.record == {
        "path": "a.png",
        "label": "x",
        "query": "a.png",
        "retrieved": str(Path("a.png").absolute()),
    }
    with pytest.raises(
        SettingError, match="model: line 4 is an image path, which says nothing about the network"
    ):
        list(read_requests([(4, {"path": "a.png"})], None, Skips()))


def test_lines_that_are_no_records_are_counted_and_passed_over(capsys):
    skips = Skips()
    lines = [
        (1, ItemError(Cause.BAD_RECORD, "not a JSON object")),
        (2, {"query": "q.png", "retrieved": "r.png", "similarity": 1}),
        (3, retrieval("q.png", "r.png")),
    ]
    assert [request.name for request in read_requests(lines, None, skips)] == ["line 3"]
    assert skips.total == 2
    assert "line 2: bad-record: model: expected an object, found nothing" in capsys.readouterr().err


def test_pairs_of_flags_are_requests_without_a_recorded_similarity():
    first, second = pair_requests("q.png", ["a.png", "b.png"], SPEC)
    assert (first.retrieved, second.retrieved) == ("a.png", "b.png")
    assert first.similarity is None
    assert second.record["retrieved"] == str(Path("b.png").absolute())


def test_groups_are_runs_of_one_query_or_of_self_similarities():
    other = ModelSpec("other", "random:0")
    asked = [
        ("q", "a", SPEC), ("q", "b", SPEC), ("q", "c", SPEC), ("p", "a", SPEC),
        ("x", "x", SPEC), ("y", "y", SPEC), ("y", "y", other), ("q", "a", SPEC),
    ]  # fmt: skip
    requests = [Request("", {}, query, retrieved, spec) for query, retrieved, spec in asked]
    sizes = [len(group) for group in group_requests(requests, 2)]
    assert sizes == [2, 1, 1, 2, 1, 1]
    assert [request for group in group_requests(requests, 2) for request in group] == requests
