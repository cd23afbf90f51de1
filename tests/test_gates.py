import math

import pytest

from xmir_cli.errors import SettingError, UsageError
from xmir_cli.gates import Gate, parse_gates, refuse_unknown


def test_a_gate_is_a_name_and_a_bound():
    assert parse_gates(["map=0.8"], ["p@5=1", "x=y=2"]) == [
        Gate("map", 0.8, "--min"),
        Gate("p@5", 1.0, "--max"),
        Gate("x=y", 2.0, "--max"),
    ]


def test_no_flags_are_no_gates():
    assert parse_gates(None, None) == []


@pytest.mark.parametrize("text", ["map", "map=", "=0.8", "map=high", "map=nan", "map=inf"])
def test_anything_but_name_and_number_is_refused(text):
    with pytest.raises(UsageError, match="expected NAME=NUMBER"):
        parse_gates([text], None)


def test_reaching_the_bound_exactly_is_enough():
    assert [gate.failure(0.5) for gate in parse_gates(["map=0.5"], ["map=0.5"])] == ["", ""]


def test_a_failed_gate_names_bound_and_value_and_nan_fails():
    at_least, at_most = parse_gates(["map=0.8"], ["del=0.1"])
    assert at_least.failure(0.75) == "gate --min map=0.8: found 0.75"
    assert at_most.failure(0.25) == "gate --max del=0.1: found 0.25"
    assert at_least.failure(math.nan) == "gate --min map=0.8: found nan"


def test_a_number_that_is_null_says_why():
    mean, end, of_control = parse_gates(["map=0", "map_low=0", "energy_gain_low.center=0"], None)
    assert mean.lacking("nobody knows") == "gate --min map=0: map is null, for nobody knows"
    spread = "it takes two images, of two patients where these are known"
    assert end.lacking("") == f"gate --min map_low=0: map_low is null, for {spread}"
    assert of_control.lacking("").endswith(spread)


@pytest.mark.parametrize(
    ("gate", "hint"),
    [
        ("mAP", "Did you mean map?"),
        ("labels.b.mrr", "Did you mean labels.a.mrr or labels.a.map?"),
        ("f1", "There are map, queries."),
    ],
)
def test_an_unknown_number_is_told_with_those_of_a_like_name_or_the_plain_ones(gate, hint):
    names = ["map", "map_low", "labels.a.map", "labels.a.mrr", "queries"]
    with pytest.raises(SettingError, match="no such number") as refused:
        refuse_unknown(parse_gates(None, [f"{gate}=0"]), names)
    assert (refused.value.name, refused.value.hint) == ("maximum", hint)
    refuse_unknown(parse_gates(["map_low=0"], None), names)
