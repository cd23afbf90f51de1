import math

import pytest

from xmir_cli.errors import UsageError
from xmir_cli.gates import Gate, check, parse_gates


def test_a_gate_is_a_name_and_a_bound():
    assert parse_gates(["map=0.8"], ["p@5=1", "x=y=2"]) == [
        Gate("map", 0.8, "--min"),
        Gate("p@5", 1.0, "--max"),
        Gate("x=y", 2.0, "--max"),
    ]


def test_no_flags_are_no_gates():
    assert parse_gates(None, None) == []


@pytest.mark.parametrize("text", ["map", "map=", "=0.8", "map=high", "map=nan"])
def test_anything_but_name_and_number_is_refused(text):
    with pytest.raises(UsageError, match="expected NAME=NUMBER"):
        parse_gates([text], None)


def test_reaching_the_bound_exactly_is_enough():
    assert check(parse_gates(["map=0.5"], ["map=0.5"]), {"map": 0.5}) == []


def test_a_failed_gate_names_bound_and_value():
    assert check(parse_gates(["map=0.8"], ["del=0.1"]), {"map": 0.75, "del": 0.25}) == [
        "gate --min map=0.8: found 0.75",
        "gate --max del=0.1: found 0.25",
    ]


def test_nan_and_missing_numbers_fail():
    assert check(parse_gates(["map=0"], ["map=1", "mrr=1"]), {"map": math.nan}) == [
        "gate --min map=0: found nan",
        "gate --max map=1: found nan",
        "gate --max mrr=1: no such number; there are map",
    ]


def test_a_number_that_is_missing_is_told_with_those_of_a_like_name_or_the_plain_ones():
    numbers = {"map": 0.5, "labels.a.map": 0.5, "labels.a.mrr": 0.5, "queries": 4}
    assert check(parse_gates(["mAP=0", "labels.b.mrr=0", "f1=0"], None), numbers) == [
        "gate --min mAP=0: no such number; did you mean map?",
        "gate --min labels.b.mrr=0: no such number; did you mean labels.a.mrr or labels.a.map?",
        "gate --min f1=0: no such number; there are map, queries",
    ]
    assert check(parse_gates(["f1=0"], None), {}) == [
        "gate --min f1=0: no such number; there are none"
    ]
