import pytest

from xmir_cli.labels import LabelSets, parse_labels, share_label


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("a", {"a"}),
        ("a|b", {"a", "b"}),
        (" b | a|b ", {"a", "b"}),
        ("no finding", {"no finding"}),
        ("|a||", {"a"}),
        ("|", set()),
        ("", set()),
        (None, set()),
    ],
)
def test_a_label_is_a_set_of_labels(text, labels):
    assert parse_labels(text) == labels


def test_images_match_when_they_share_a_label():
    assert share_label("a|b", "c|b") is True
    assert share_label("b|a", "a|b") is True
    assert share_label("a", "ab") is False
    assert share_label("a|b", None) is None
    assert share_label("", "a") is None


def test_the_grade_is_what_both_have_of_what_either_has():
    sets = LabelSets(["a|b", "b", "c", None, "b|a", "a|b|c|d"])
    assert sets.grade(frozenset("ab")).tolist() == [1, 1 / 2, 0, 0, 1, 1 / 2]
    assert sets.grade_as(2).tolist() == [0, 0, 1, 0, 0, 1 / 4]
    assert sets.grade(frozenset()).tolist() == sets.grade(frozenset("x")).tolist() == [0] * 6
    assert sets.grade_as(3).tolist() == [0] * 6
    assert sets.names == ["a", "b", "c", "d"]


def test_who_shares_a_label_is_counted():
    sets = LabelSets(["a|b", "b", "c", None, "e", "b|c"])
    assert sets.sharing.tolist() == [3, 3, 2, 0, 1, 4]
