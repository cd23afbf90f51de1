"""What is marked: outliers, duplicates, and the image nearest to the mean of a label."""

import numpy as np
import pyarrow as pa
import pytest

from tests.atlas.test_axes import unit_vectors
from tests.atlas.test_neighbours import looked
from xmir_cli.atlas.classes import find_classes
from xmir_cli.atlas.coloring import color_by
from xmir_cli.atlas.duplicates import duplicate_groups
from xmir_cli.atlas.outliers import are_outliers, unlikeness


def test_unlikeness_is_the_percentile_of_the_archives_own():
    percents = unlikeness(np.array([0.9, 0.5, np.nan, 0.7, 0.7]))
    # of four known ones: nearer are 0, 3, 1 and 1; equal 1, 1, 2 and 2
    assert percents == pytest.approx([12.5, 87.5, np.nan, 50, 50], nan_ok=True)
    assert are_outliers(percents, 20).tolist() == [False, True, False, False, False]
    assert not are_outliers(percents, 0).any()


@pytest.mark.parametrize(("count", "ringed"), [(3, 0), (50, 0), (51, 1), (100, 1), (1000, 10)])
def test_one_percent_of_the_images_lie_apart(count, ringed):
    assert are_outliers(unlikeness(np.linspace(0, 1, count)), 1).sum() == ringed


def test_duplicates_are_one_file_one_vector_or_similar_within_rounding():
    vectors = unit_vectors(9, 5)
    vectors[3] = vectors[1]  # one vector
    vectors[4] = vectors[1] * np.float32(1 + 3e-7)  # the same but for rounding
    vectors[8] = vectors[0] + np.float32(0.01)  # near, not the same
    names = ["a", None, "b", None, "c", "b", "a", None, "d"]
    near = looked(vectors, [-1] * 9, 3).near
    groups = duplicate_groups(names, vectors, near)
    assert groups.tolist() == [1, 2, 3, 2, 2, 3, 1, 0, 0]


def test_more_copies_than_neighbours_are_one_group():
    vectors = np.tile(unit_vectors(1, 5), (20, 1))
    near = looked(vectors, [-1] * 20, 2).near
    assert set(duplicate_groups([None] * 20, vectors, near)) == {1}


def test_groups_join_through_a_member_of_both():
    vectors = unit_vectors(4, 5)
    vectors[2] = vectors[0]
    near = looked(vectors, [-1] * 4, 1).near
    assert duplicate_groups(["x", "x", None, None], vectors, near).tolist() == [1, 1, 1, 0]


def test_the_star_is_the_classs_own_image_nearest_to_its_mean():
    vectors = unit_vectors(40, 6)
    labels = ["a", "b", "a|b", None] * 10
    classes = find_classes(labels, vectors)
    assert [each.label for each in classes] == ["a", "b"]
    for each in classes:
        rows = [row for row, label in enumerate(labels) if label and each.label in label.split("|")]
        mean = np.mean([vectors[row].astype(float) for row in rows], axis=0)
        similar = {row: vectors[row] @ mean / np.linalg.norm(mean) for row in rows}
        assert np.flatnonzero(each.members).tolist() == rows
        assert each.nearest == max(rows, key=similar.__getitem__)
        assert each.similarity == pytest.approx(similar[each.nearest])


def test_a_mean_of_nothing_still_has_a_nearest_image():
    opposite = np.array([[1, 0], [-1, 0]], np.float32)
    (only,) = find_classes(["a", "a"], opposite)
    assert (only.nearest, only.similarity) == (0, 0)


@pytest.mark.parametrize("count", [1, 3])
def test_rounding_makes_no_image_more_similar_to_a_mean_than_it_can_be(count):
    for seed in range(50):
        vectors = np.tile(unit_vectors(1, 7, seed), (count, 1)) * np.float32(1 + 2e-7)
        (only,) = find_classes(["a"] * count, vectors)
        assert only.similarity <= 1


def test_frequent_values_have_colours_rare_ones_share_one():
    texts = [letter for n, letter in enumerate("abcdefghij") for _ in range(20 - n)]
    coloring = color_by("site", pa.chunked_array([[*texts, None, ""]]))
    assert [text for text, _ in coloring.colored] == list("abcdefgh")
    assert coloring.rare == [("i", 12), ("j", 11)]
    assert coloring.missing == 2


def test_many_different_numbers_lie_on_a_scale_few_are_classes():
    ages = color_by("age", pa.chunked_array([[*range(100), None]]))
    assert ages.numbers is not None
    assert ages.ends == (1, 98)
    assert ages.positions[[0, 1, 98, 99]].tolist() == [0, 0, 1, 1]
    assert np.isnan(ages.positions[100])
    assert ages.missing == 1
    grades = color_by("grade", pa.chunked_array([[1, 2, 2, None]]))
    assert (grades.numbers, grades.values) == (None, [("2", 2), ("1", 1)])


def test_texts_that_are_numbers_or_dates_lie_on_a_scale_but_names_do_not():
    ages = [str(age) for age in range(20)]
    assert color_by("age", pa.chunked_array([ages])).end_texts == ("0", "19")
    assert color_by("patient", pa.chunked_array([ages])).numbers is None
    days = [f"2020-03-{day:02d}" for day in range(1, 21)]
    for column in (days, pa.array(days).cast(pa.date32()), pa.array(days).cast(pa.timestamp("us"))):
        dates = color_by("study", pa.chunked_array([column]))
        assert dates.end_texts == ("2020-03-01", "2020-03-20")
        assert dates.positions[[0, 19]].tolist() == [0, 1]
    zoned = pa.array(days).cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))
    assert color_by("study", pa.chunked_array([zoned])).end_texts[1] == "2020-03-20"


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (pa.array([True, False, None] * 4), ["false", "true"]),
        (pa.array(["x", "y"] * 6).dictionary_encode(), ["x", "y"]),
        (pa.array([1.5, 2.5] * 6), ["1.5", "2.5"]),
    ],
)
def test_few_values_of_any_kind_are_classes(values, named):
    assert sorted(text for text, _ in color_by("c", pa.chunked_array([values])).values) == named


def test_numbers_of_any_kind_lie_on_a_scale():
    for kind in (pa.uint64(), pa.int8(), pa.float32(), pa.decimal128(25, 2)):
        column = pa.chunked_array([pa.array([*range(30), None], pa.int64()).cast(kind)])
        assert color_by("c", column).end_texts == ("0", "29")


def test_infinite_numbers_lie_at_the_ends_of_their_scale():
    values = pa.chunked_array([[*map(float, range(20)), float("inf"), float("-inf"), None]])
    ages = color_by("age", values)
    assert ages.missing == 1
    assert ages.end_texts == ("0", "19")
    assert ages.positions[-3:].tolist() == pytest.approx([1, 0, np.nan], nan_ok=True)
