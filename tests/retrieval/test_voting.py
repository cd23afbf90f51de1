"""Votes of the nearest: what they are fitted to, and what is held out."""

import numpy as np
import pytest

from xmir_cli.errors import SettingError
from xmir_cli.retrieval.voting import NearestItems, Voting


def test_labels_are_as_frequent_as_among_those_that_votes_are_fitted_to():
    """Of those held out each would count its own label: sets would hold too few."""
    similarities = np.linspace(0.9, 0.4, 12).reshape(6, 2)
    own = ["a", "b", "b", "b", "a", "b"]  # the first, third and fifth are fitted to
    near = NearestItems(similarities, [[text, "b"] for text in own])
    voting = Voting(own, near, "label", 0.5, 0)
    (told,) = voting.of(NearestItems(np.full((1, 2), np.nan), [[]]))
    assert told["vote"] == {"a": 2 / 3, "b": 1 / 3}
    assert (told["vote_by"]["fitted_to"], told["vote_by"]["held_out"]) == (3, 3)


def test_votes_are_the_same_one_by_one_and_together():
    random = np.random.default_rng(0)
    texts = ["a", "b", "a|c", None, "d"]
    labels = [[texts[each] for each in row] for row in random.integers(0, 5, (40, 3))]
    near = NearestItems(random.uniform(-1, 1, (40, 3)), labels)
    own = [texts[each] for each in random.integers(0, 3, 40)]
    voting = Voting(own, near, "label", 0.8, 0)
    together = voting.of(near)
    for row, told in enumerate(together):
        (alone,) = voting.of(near.part(slice(row, row + 1)))
        assert alone["vote_set"] == told["vote_set"]
        assert {"a", "b", "c"} <= set(alone["vote"]) <= {"a", "b", "c", "d"}
        for name, chance in alone["vote"].items():
            assert abs(told["vote"][name] - chance) < 1e-12


@pytest.mark.parametrize(
    ("own", "reason"),
    [
        (
            ["a", "a", None],
            "the images that may be found, one of each patient, have no two values of label",
        ),
        (
            ["a", None, None],
            "no two patients of the index have a label, so that none can be held out",
        ),
        (
            ["a|b", None, ""],
            "no two patients of the index have a label, so that none can be held out",
        ),
    ],
)
def test_what_is_too_little_to_judge_by_is_said(own, reason):
    near = NearestItems(np.full((3, 2), 0.5), [["a", "b"]] * 3)
    with pytest.raises(SettingError) as caught:
        Voting(own, near, "label", 0.9, 0)
    assert caught.value.message == reason


def test_where_no_neighbour_has_a_value_there_is_nothing_to_fit():
    near = NearestItems(np.full((4, 2), 0.5), [[None, ""]] * 4)
    with pytest.raises(SettingError, match="no image of the index has a neighbour with a label"):
        Voting(["a", "b", "a", "b"], near, "label", 0.9, 0)
