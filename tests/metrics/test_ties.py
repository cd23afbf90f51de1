from collections import Counter

import numpy as np
import pytest

from xmir_cli.metrics.ties import ITSELF, KIN, kinds_of, rank


@pytest.mark.parametrize("least", [KIN, ITSELF])
@pytest.mark.parametrize("seed", range(30))
def test_groups_are_those_that_a_loop_counts(seed, least):
    generator = np.random.default_rng(seed)
    queries, items = generator.integers(1, 5, 2)
    items = int(items) * int(generator.integers(1, 8))
    similarities = generator.integers(-6, 7, (queries, items)) / 6
    numbers = generator.integers(0, 4, (queries, items))  # of grades
    standing = generator.choice([0, 0, 0, KIN, ITSELF, KIN | ITSELF], (queries, items))
    grades = np.tile([0, 1, 0.5, 0.25], (queries, 1))
    kinds = kinds_of(numbers) | standing.astype(np.uint8)
    ties = rank(similarities, kinds, 1e-12).ties(grades, least)
    expected = []
    for query in range(queries):
        counts = [row for row in range(items) if standing[query, row] < least]
        own = similarities[query]
        relevant = [row for row in counts if numbers[query, row]]
        for value in sorted({own[row] for row in relevant}, reverse=True):
            equal = [row for row in counts if own[row] == value]
            hits = [row for row in equal if numbers[query, row]]
            gain = sum(grades[query, numbers[query, row]] for row in hits)
            better = sum(own[row] > value for row in counts)
            found = sum(own[row] > value for row in relevant)
            expected.append((query, better, found, len(equal), len(hits), gain))
        assert ties.items[query] == len(counts)
        assert ties.total[query] == len(relevant)
        tally = Counter(numbers[query, row] for row in relevant)
        assert ties.graded[query].tolist() == [tally[number] for number in (1, 2, 3)]
    columns = (ties.query, ties.better, ties.found, ties.equal, ties.relevant, ties.gain)
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == expected


def test_neighbours_that_differ_by_rounding_are_tied_in_a_chain():
    similarities = np.array([[0.5, 0.5 - 1e-15, 0.5 - 2e-15, 0.5 - 1e-12]])
    ranking = rank(similarities, kinds_of(np.ones((1, 4), dtype=np.int64)), 1.2e-15)
    ties = ranking.ties(np.array([[0.0, 1.0]]), ITSELF)
    assert (ties.better.tolist(), ties.equal.tolist()) == ([0, 3], [3, 1])


def test_what_does_not_count_still_ties_its_neighbours():
    kinds = kinds_of(np.ones((1, 3), dtype=np.int64))
    kinds[0, 1] |= ITSELF
    ties = rank(np.array([[0.5, 0.5 - 1e-15, 0.5 - 2e-15]]), kinds, 1.2e-15).ties(
        np.array([[0.0, 1.0]]), ITSELF
    )
    assert (ties.better.tolist(), ties.equal.tolist()) == ([0], [2])


def test_similarities_a_bit_beyond_one_keep_their_order():
    kinds = kinds_of(np.array([[1, 127, 0, 1]]))
    ranking = rank(np.array([[-1 - 1e-6, 1 + 1e-6, 1, -1]]), kinds, 1e-12)
    assert (ranking.kinds[0] // 4).tolist() == [127, 0, 1, 1]
