"""Outliers and hubs, by hand."""

from itertools import combinations, product

import numpy as np
import pytest

from xmir_cli.audit.apart import find_hubs, find_outliers


def test_an_outlier_is_beyond_three_interquartile_ranges():
    distances = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.99, 1.2, np.nan])
    found = find_outliers(1 - distances, 3)
    low, high = np.percentile(distances[:-1], [25, 75])
    assert found.fence == pytest.approx(high + 3 * (high - low))
    assert found.rows.tolist() == []
    near = find_outliers(1 - np.array([*np.linspace(0.1, 0.2, 20), 0.6, 0.9]), 3)
    assert near.rows.tolist() == [21, 20]
    assert near.percentiles[21] == pytest.approx(100 * 21.5 / 22)


def test_nothing_is_an_outlier_where_all_are_equally_far_or_nobody_has_a_neighbour():
    assert find_outliers(np.full(9, 0.5), 3).rows.tolist() == []
    alone = find_outliers(np.full(3, np.nan), 3)
    assert (alone.fence, alone.rows.tolist()) == (None, [])


def test_what_differs_by_rounding_alone_does_not_lie_apart():
    distances = np.array([0.0] * 30 + [2e-16, 4e-16, 1e-7, 0.01])
    found = find_outliers(1 - distances, 3)
    assert found.fence == pytest.approx(0, abs=1e-9)
    assert found.rows.tolist() == [33]


def test_hubs_are_in_more_than_five_times_as_many_answers_as_the_mean():
    nearest = np.zeros((20, 2), dtype=np.int64)
    nearest[:, 1] = np.arange(20)
    nearest[0] = [1, -1]
    found = find_hubs(nearest, 5, np.full(20, -1))
    assert found.counts.tolist() == [19, 2, *[1] * 18]
    assert found.rows.tolist() == [0]
    assert found.unreached.tolist() == []
    values = found.counts - found.counts.mean()
    assert found.skewness == pytest.approx((values**3).mean() / (values**2).mean() ** 1.5)


def test_where_all_are_in_equally_many_answers_nothing_is_a_hub():
    nearest = np.arange(1, 8)[:, None] % 7
    found = find_hubs(nearest, 5, np.full(7, -1))
    assert (found.rows.tolist(), found.unreached.tolist(), found.skewness) == ([], [], 0)


def everything_that_could_be(patients, k):
    """The most answers that an image may be in, and whether one may be in none, by all choices."""
    choices = []
    for row, own in enumerate(patients):
        others = [at for at, each in enumerate(patients) if at != row and (each != own or own < 0)]
        choices.append(list(combinations(others, min(k, len(others)))))
    counts = [
        np.bincount([at for answer in answers for at in answer], minlength=len(patients))
        for answers in product(*choices)
    ]
    return counts, [np.array([*answer, *[-1] * (k - len(answer))]) for (answer, *_) in choices]


@pytest.mark.parametrize(
    ("patients", "k", "times"),
    [
        ([-1] * 4, 1, 2.5),
        ([-1] * 4, 1, 3.0),
        ([-1] * 4, 2, 1.4),
        ([-1] * 4, 2, 1.5),
        ([-1] * 4, 3, 0.5),
        ([0, 0, 0, 1], 2, 1.5),
        ([0, 0, 0, 1, 2], 2, 2.0),
        ([0, 0, 1, 1, -1], 2, 1.7),
        ([0, 0, 1, 1, -1], 3, 1.2),
        ([0, 0, 0], 1, 1.0),
    ],
)
def test_no_hub_is_told_where_none_could_be_by_all_answers_that_there_are(patients, k, times):
    counts, one = everything_that_could_be(patients, k)
    found = find_hubs(np.stack(one), times, np.array(patients))
    varies = any((each != counts[0]).any() for each in counts)
    assert (found.skewness is not None) == varies
    could = varies and any(each.max() > times * each.mean() for each in counts)
    assert (found.rows is not None) == could
    assert (found.unreached is not None) == (varies and any((each == 0).any() for each in counts))
