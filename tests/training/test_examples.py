"""Which rows train and which validate."""

import pytest

from xmir_cli.errors import DataError
from xmir_cli.training.examples import Example, divide, find_contradictions, keep_labelled


def rows(*splits: str | None) -> list[Example]:
    return [Example(str(n), str(n), "x", f"p{n % 3}", split) for n, split in enumerate(splits)]


def names(examples) -> list[str]:
    return [example.name for example in examples]


def test_without_splits_every_row_trains_and_none_validates():
    division = divide(rows(None, None), None, None)
    assert (names(division.training), division.validation) == (["0", "1"], [])
    assert division.validated_on is None


def test_val_validates_before_test():
    division = divide(rows("train", "val", "test", "train", None), None, None)
    assert names(division.training) == ["0", "3"]
    assert (names(division.validation), division.validated_on) == (["1"], "val")


@pytest.mark.parametrize("name", ["validation", "Validation", "valid", "dev", "VAL"])
def test_validation_counts_as_val(name):
    division = divide(rows("Training", name, "test", "train"), None, None)
    assert (names(division.training), names(division.validation)) == (["3"], ["1"])
    assert (division.validated_on, division.splits) == ("val", (["train"], [name]))
    assert names(divide(rows("train", name, "test"), None, "val").validation) == ["1"]


def test_a_split_of_the_very_name_comes_first():
    division = divide(rows("training", "val", "validation", "dev"), None, None)
    assert (names(division.training), names(division.validation)) == (["0"], ["1"])
    assert names(divide(rows("train", "val", "dev"), None, "dev").validation) == ["2"]


def test_test_validates_when_there_is_no_val():
    division = divide(rows("train", "test"), None, None)
    assert (names(division.validation), division.validated_on) == (["1"], "test")


def test_splits_may_have_other_names():
    division = divide(rows("one", "two", "one"), "one", "two")
    assert (names(division.training), names(division.validation)) == (["0", "2"], ["1"])
    assert divide(rows("one", "two"), "one", None).validation == []


@pytest.mark.parametrize(
    ("splits", "split", "validate", "message"),
    [
        (["a", "b"], None, None, "no rows of the split train; the splits are a, b"),
        ([None], "train", None, "no rows of the split train; there is no split column"),
        (["train"], None, "val", "no rows of the split val; the splits are train"),
    ],
)
def test_a_split_without_rows_is_refused(splits, split, validate, message):
    with pytest.raises(DataError) as caught:
        divide(rows(*splits), split, validate)
    assert str(caught.value) == message


def test_patients_on_both_sides_are_counted():
    assert divide(rows("train", "train", "val", "val"), None, None).shared_patients == 1
    assert divide(rows("train", "train", "val"), None, None).shared_patients == 0
    lone = [Example("a", "a", "x", None, "train"), Example("b", "b", "x", None, "val")]
    assert divide(lone, None, None).shared_patients == 0


def test_copies_with_different_labels_contradict_each_other():
    marked = [Example(n, n, label, mark=mark) for n, label, mark in ("ax1", "by1", "cx2", "dx2")]
    assert names(find_contradictions(marked)) == ["a", "b"]
    assert find_contradictions(marked[1:]) == []


def test_the_same_labels_in_another_order_are_the_same_class():
    given = {"one": "b | a", "two": "a|b", "three": "a", "four": "|", "five": None}
    left_out = {}
    found = keep_labelled(
        [(name, f"{name}.png", {"label": label}) for name, label in given.items()],
        lambda name, error: left_out.update({name: error.reason}),
    )
    assert [(row.name, row.label) for row in found] == [
        ("one", "a|b"),
        ("two", "a|b"),
        ("three", "a"),
    ]
    assert set(left_out) == {"four", "five"}
    assert set(left_out.values()) == {"no-label: nothing in the column label"}
