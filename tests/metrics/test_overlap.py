"""Overlap and rank-biased overlap: numbers worked out by hand, and naive sums as oracle."""

import math

import numpy as np
import pytest

from xmir_cli.metrics.overlap import agreements_of, overlap_at, rank_biased_overlap


def rbo_of_the_paper(first, second, p):
    """Equation 32 as it stands, with l and s the longer and the shorter list."""
    longer, shorter = sorted([list(first), list(second)], key=len, reverse=True)
    length, short = len(longer), len(shorter)

    def common(depth):
        return len(set(longer[:depth]) & set(shorter[:depth]))

    total = sum(common(d) / d * p**d for d in range(1, length + 1))
    total += sum(
        common(short) * (d - short) / (short * d) * p**d for d in range(short + 1, length + 1)
    )
    end = (common(length) - common(short)) / length + common(short) / short
    return (1 - p) / p * total + end * p**length


@pytest.mark.parametrize(
    ("first", "second", "cutoff", "share"),
    [
        ([1, 2, 3], [1, 2, 3], 3, 1),
        ([1, 2, 3], [3, 4, 1], 1, 0),
        ([1, 2, 3], [3, 4, 1], 2, 0),
        ([1, 2, 3], [3, 4, 1], 3, 2 / 3),
        ([1, 2], [2, 1], 5, 1),  # both are shorter
        ([1, 2, 3], [1], 3, 1 / 3),
        ([1], [], 3, 0),
    ],
)
def test_overlap_is_the_share_of_common_items(first, second, cutoff, share):
    lists = np.array(first, dtype=np.int64), np.array(second, dtype=np.int64)
    assert overlap_at(*lists, cutoff) == pytest.approx(share)
    assert overlap_at(*lists[::-1], cutoff) == pytest.approx(share)


def test_rank_biased_overlap_worked_out_by_hand():
    """A = 0, 1, 2/3 of abc and bad; weights .1, .09, .081, and .729 for all beyond."""
    first, second = np.array([0, 1, 2]), np.array([1, 0, 3])
    assert agreements_of(first, second).tolist() == pytest.approx([0, 1, 2 / 3])
    expected = 0.1 * 0 + 0.09 * 1 + (0.081 + 0.729) * 2 / 3
    assert rank_biased_overlap(first, second) == pytest.approx(expected)


def test_equal_lists_have_one_and_disjoint_ones_nothing_to_the_last_bit():
    for length in (1, 2, 7, 100):
        items = np.arange(length)
        assert rank_biased_overlap(items, items) == 1
        assert rank_biased_overlap(items, items + length) == pytest.approx(0, abs=1e-12)


def test_a_list_that_ends_goes_on_agreeing_as_it_did():
    items = np.arange(10)
    assert rank_biased_overlap(items, items[:4]) == 1
    assert rank_biased_overlap(items, items[:0]) == pytest.approx(0, abs=1e-12)
    assert math.isnan(rank_biased_overlap(items[:0], items[:0]))
    assert math.isnan(overlap_at(items[:0], items[:0], 3))


@pytest.mark.parametrize("p", [0.5, 0.9, 0.98])
def test_rank_biased_overlap_equals_the_sums_of_the_paper(p):
    random = np.random.default_rng(0)
    for _ in range(50):
        first, second = (random.permutation(30)[: random.integers(1, 25)] for _ in range(2))
        expected = rbo_of_the_paper(first, second, p)
        assert rank_biased_overlap(first, second, p) == pytest.approx(expected)
        assert rank_biased_overlap(second, first, p) == pytest.approx(expected)
