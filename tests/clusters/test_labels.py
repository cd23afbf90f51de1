"""Labels of groups: Fisher's test against exact fractions, Holm by hand."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest

from xmir_cli.clusters.labels import compare_labels

pytest.importorskip("sklearn")


def fisher(inside, known, outside, known_outside):
    """Two-sided p: the sum of all tables that are no more likely than this, as fractions."""
    total, drawn = known + known_outside, inside + outside

    def chance(count):
        return Fraction(comb(known, count) * comb(known_outside, drawn - count), comb(total, drawn))

    tables = range(max(0, drawn - known_outside), min(known, drawn) + 1)
    return float(sum(chance(each) for each in tables if chance(each) <= chance(inside)))


def test_every_label_is_compared_with_the_rest_exactly():
    generator = np.random.default_rng(0)
    groups = np.sort(generator.integers(0, 3, 40))
    texts = [("a", "b", "a|c", None)[each] for each in generator.integers(0, 4, 40)]
    found = compare_labels(texts, groups)
    assert len(found) == 3
    raw = {}
    for group, counts in enumerate(found):
        assert sorted(each.label for each in counts) == ["a", "b", "c"]
        for each in counts:
            own = [text for text, at in zip(texts, groups, strict=True) if text and at == group]
            rest = [text for text, at in zip(texts, groups, strict=True) if text and at != group]
            numbers = (
                *(sum(each.label in text.split("|") for text in own), len(own)),
                *(sum(each.label in text.split("|") for text in rest), len(rest)),
            )
            assert (each.inside, each.known, each.outside, each.known_outside) == numbers
            assert each.p == pytest.approx(fisher(*numbers))
            raw[group, each.label] = (each.p, each.p_holm)
    largest = 0.0
    for rank, (p, corrected) in enumerate(sorted(raw.values())):
        largest = max(largest, min(1.0, p * (9 - rank)))
        assert corrected == pytest.approx(largest)


def test_without_a_rest_or_a_label_there_is_no_p():
    ((only,),) = compare_labels(["a", "a", None], np.zeros(3, np.int64))
    assert (only.inside, only.known, only.p, only.p_holm) == (2, 2, None, None)
    assert only.to_json()["rest_share"] is None
    assert compare_labels([None, None], np.array([0, 1])) == [[], []]
