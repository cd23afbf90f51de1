"""P classes x K images: what every batch and every epoch must be."""

from collections import Counter

import pytest

from xmir_cli.errors import DataError
from xmir_cli.training.sampler import (
    by_class,
    check_classes,
    count_visits,
    epoch_batches,
    whole_batches,
)

LABELS = ["b"] * 50 + ["a"] * 37 + ["c"] * 40


def test_every_batch_holds_sixteen_of_each_class():
    batches = epoch_batches(LABELS, 16, None, (0, 1))
    for batch in batches:
        labels = [LABELS[position] for position in batch]
        assert {name: labels.count(name) for name in "abc"} == {"a": 16, "b": 16, "c": 16}


@pytest.mark.parametrize(("per_class", "count"), [(16, 2), (37, 1), (12, 3), (2, 18)])
def test_the_epoch_ends_when_the_smallest_class_has_fewer_than_k_left(per_class, count):
    batches = epoch_batches(LABELS, per_class, None, (0, 1))
    assert len(batches) == count  # floor(37 / K)


def test_covidx_has_31_batches_an_epoch():
    labels = ["pneumonia"] * 5464 + ["normal"] * 7966 + ["covid"] * 505
    assert len(epoch_batches(labels, 16, None, (0, 1))) == 31


def test_no_image_comes_twice_in_an_epoch():
    for classes in (None, 2):
        drawn = [p for batch in epoch_batches(LABELS, 8, classes, (0, 1)) for p in batch]
        assert len(drawn) == len(set(drawn))


def test_seed_and_epoch_decide_the_batches():
    first = epoch_batches(LABELS, 8, None, (3, 1))
    assert epoch_batches(LABELS, 8, None, (3, 1)) == first
    assert epoch_batches(LABELS, 8, None, (3, 2)) != first
    assert epoch_batches(LABELS, 8, None, (4, 1)) != first


def test_every_image_is_drawn_in_some_epoch():
    drawn = {
        p for epoch in range(20) for b in epoch_batches(LABELS, 16, None, (0, epoch)) for p in b
    }
    assert drawn == set(range(len(LABELS)))


def test_fewer_classes_a_batch_use_more_of_the_large_classes():
    batches = epoch_batches(LABELS, 8, 2, (0, 1))
    assert all(len({LABELS[position] for position in batch}) == 2 for batch in batches)
    assert len(batches) >= 6  # 6 + 4 + 5 groups of 8, two a batch
    assert len({tuple(sorted({LABELS[p] for p in batch})) for batch in batches}) == 3


def test_classes_stand_in_alphabetical_order():
    assert by_class(["b", "a", "b"]) == {"a": [1], "b": [0, 2]}


@pytest.mark.parametrize("per_class", [4, 8, 16, 37])
def test_with_all_images_each_comes_and_classes_are_balanced(per_class):
    batches = whole_batches(LABELS, per_class, None, (0, 1))
    assert len(batches) == -(-50 // per_class)
    for batch in batches:
        assert len(set(batch)) == len(batch) == 3 * per_class
        assert {name: [LABELS[p] for p in batch].count(name) for name in "abc"} == dict.fromkeys(
            "abc", per_class
        )
    times = Counter(place for batch in batches for place in batch)
    assert set(times) == set(range(len(LABELS)))
    for rows in by_class(LABELS).values():  # none comes a third time before all came twice
        assert max(times[row] for row in rows) - min(times[row] for row in rows) <= 1


@pytest.mark.parametrize("classes", [2, 3])
def test_with_fewer_classes_a_batch_all_images_come_too(classes):
    labels = [*LABELS, *["d"] * 9]
    batches = whole_batches(labels, 8, classes, (0, 1))
    assert len(batches) == -(-7 * 4 // classes)
    assert all(len({labels[place] for place in batch}) == classes for batch in batches)
    assert {place for batch in batches for place in batch} == set(range(len(labels)))
    assert whole_batches(labels, 8, classes, (0, 1)) == batches
    assert whole_batches(labels, 8, classes, (0, 2)) != batches


def test_visits_count_how_often_an_image_came_before():
    assert count_visits([[3, 1], [1, 2], [1, 3]]) == [
        [(3, 0), (1, 0)],
        [(1, 1), (2, 0)],
        [(1, 2), (3, 1)],
    ]


def refusal(labels, per_class=16, classes=None) -> tuple[str, str]:
    with pytest.raises(DataError) as caught:
        check_classes(labels, per_class, classes)
    return str(caught.value), caught.value.hint


def test_a_class_below_k_is_refused_by_name_and_count():
    assert refusal(["a"] * 20 + ["b"] * 5) == (
        "class b has 5 images, fewer than the 16 of `per_class`",
        "Lower `per_class` to 5, or leave the class out.",
    )
    assert refusal(["a"] * 20 + ["b"])[1] == "Give it more images, or leave the class out."
    assert refusal(["a"] * 8 + ["b"] * 3 + ["c"] * 7)[1].startswith("Lower `per_class` to 7")


def test_rare_classes_are_told_as_long_as_two_others_are_left():
    labels = ["a"] * 20 + ["b"] * 5 + ["c"] * 16 + ["d"]
    assert check_classes(labels, 16, None) == {"b": 5, "d": 1}
    assert check_classes(labels, 5, 3) == {"d": 1}
    assert refusal(labels, 16, 3)[0] == (
        "2 classes are there, fewer than the 3 of `classes_per_batch`"
    )


def test_one_class_or_none_is_refused():
    assert refusal(["a"] * 20)[0] == ("training needs images of at least two classes, found only a")
    assert refusal([])[0] == "training needs images of at least two classes, found none"


def test_more_classes_a_batch_than_there_are_is_refused():
    assert refusal(["a", "b"], 1, 3)[0] == (
        "2 classes are there, fewer than the 3 of `classes_per_batch`"
    )
    check_classes(["a", "b"], 1, 2)
