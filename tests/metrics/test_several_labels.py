"""Several labels and many ties: the numbers by loops over all orders, and by scikit-learn."""

import itertools
import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, ndcg_score

from xmir_cli.metrics.intervals import intervals
from xmir_cli.metrics.ranking import Measures
from xmir_cli.metrics.relevance import LabelledVectors
from xmir_cli.metrics.retrieval import evaluate, leave_one_out

CUTOFFS = (1, 2, 3)
MEASURES = Measures(CUTOFFS)
LABELS = ["a|b", "a", "b|c", "c", "a|c|d", "d", "b|a", "a|b|c|d"]
PATIENTS = ["p", "p", "q", None, "q", "r", None, "r"]


def jaccard(one: str, other: str) -> float:
    first, second = set(one.split("|")), set(other.split("|"))
    return len(first & second) / len(first | second)


def numbers(grades: list[float]) -> list[float]:
    """The definitions, of one ranking in this order."""
    hits = [grade > 0 for grade in grades]
    total, count = sum(hits), len(hits)
    precision = [sum(hits[: k + 1]) / (k + 1) for k in range(count)]

    def ndcg(k: int) -> float:
        best = sorted(grades, reverse=True)
        gains = [
            sum(grade / math.log2(place + 2) for place, grade in enumerate(order[:k]))
            for order in (grades, best)
        ]
        return gains[0] / gains[1]

    return [
        sum(p for p, hit in zip(precision, hits, strict=True) if hit) / total,
        *(sum(hits[:k]) / k for k in CUTOFFS),
        sum(hits[:total]) / total,
        sum(p for p, hit in zip(precision[:total], hits, strict=False) if hit) / total,
        1 / (hits.index(True) + 1),
        ndcg(count),
        *(float(any(hits[:k])) for k in CUTOFFS),
        *(ndcg(k) for k in CUTOFFS),
    ]


def over_all_orders(similarities: list[float], grades: list[float]) -> list[float]:
    """The mean over the orders of what is equally similar; NaN where nothing is relevant."""
    if not any(grades):
        return [math.nan] * len(MEASURES.names)
    pairs = list(zip(similarities, grades, strict=True))
    groups = [
        [grade for value, grade in pairs if value == each]
        for each in sorted(set(similarities), reverse=True)
    ]
    orders = itertools.product(*map(itertools.permutations, groups))
    found = [numbers([*itertools.chain(*order)]) for order in orders]
    return [math.fsum(column) / len(found) for column in zip(*found, strict=True)]


@pytest.mark.parametrize("seed", range(6))
def test_every_number_is_the_mean_over_the_orders_of_ties(seed):
    generator = np.random.default_rng(seed)
    kinds = np.eye(4, dtype=np.float32)[generator.integers(0, 4, 8)]  # products are 0 or 1
    found = leave_one_out(LabelledVectors(kinds, LABELS, PATIENTS), MEASURES)
    for scores, by_patient in ((found.scores, False), (found.other_groups, True)):
        expected = []
        for q in range(8):
            others = [
                g for g in range(8)
                if g != q
                and not (by_patient and PATIENTS[q] is not None and PATIENTS[g] == PATIENTS[q])
            ]  # fmt: skip
            similarities = [float(kinds[q] @ kinds[g]) for g in others]
            grades = [jaccard(LABELS[q], LABELS[g]) for g in others]
            expected.append(over_all_orders(similarities, grades))
        np.testing.assert_allclose(scores.values, expected, atol=1e-12)
        of_label = {
            name: np.array([row for row, text in zip(expected, LABELS, strict=True)
                            if name in text.split("|") and not math.isnan(row[0])])
            for name in "abcd"
        }  # fmt: skip
        for name, rows in of_label.items():
            np.testing.assert_allclose(
                list(scores.by_label()[name].values()), rows.mean(axis=0), atol=1e-12
            )
        macro = np.mean([rows.mean(axis=0) for rows in of_label.values()], axis=0)
        np.testing.assert_allclose(list(scores.macro().values()), macro, atol=1e-12)


def test_precision_and_gain_of_sets_equal_scikit_learns():
    generator = np.random.default_rng(1)
    vectors = generator.normal(size=(60, 6)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = [
        "|".join(generator.choice([*"abcdef"], generator.integers(1, 4), replace=False).tolist())
        for _ in range(60)
    ]
    found = leave_one_out(LabelledVectors(vectors, labels, [None] * 60), MEASURES).scores
    similarities = vectors.astype(float) @ vectors.T.astype(float)
    for q in range(60):
        others = np.arange(60) != q
        grades = np.array([jaccard(labels[q], text) for text in labels])[others]
        own = similarities[q, others]
        named = dict(zip(MEASURES.names, found.values[q], strict=True))
        assert named["map"] == pytest.approx(average_precision_score(grades > 0, own), abs=1e-12)
        assert named["ndcg"] == pytest.approx(ndcg_score([grades], [own]), abs=1e-12)
        assert named["ndcg_at_3"] == pytest.approx(ndcg_score([grades], [own], k=3), abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("asking", [slice(None), slice(1, None)])
def test_numbers_of_a_label_are_those_of_queries_that_have_no_other_one(seed, asking):
    generator = np.random.default_rng(seed)
    vectors = np.eye(4, dtype=np.float32)[generator.integers(0, 4, 8)]
    gallery = LabelledVectors(vectors, LABELS, PATIENTS)
    queries = LabelledVectors(vectors[asking], LABELS[asking], PATIENTS[asking])
    own = np.arange(8)[asking]
    found = evaluate(queries, gallery, own, Measures(CUTOFFS, by_label=True))
    for scores, by_patient in ((found.scores, False), (found.other_groups, True)):
        assert (
            scores.micro() == evaluate(queries, gallery, own, MEASURES).chosen(by_patient).micro()
        )
        means = {}
        for label in "abcd":
            rows = []
            for q in own.tolist():
                if label in LABELS[q].split("|"):
                    others = [
                        g for g in range(8)
                        if g != q
                        and not (by_patient and PATIENTS[q] and PATIENTS[g] == PATIENTS[q])
                    ]  # fmt: skip
                    similarities = [float(vectors[q] @ vectors[g]) for g in others]
                    grades = [jaccard(label, LABELS[g]) for g in others]
                    rows.append(over_all_orders(similarities, grades))
            scored = [row for row in rows if not math.isnan(row[0])]
            assert scores.count_by_label()[label] == len(scored)
            means[label] = np.mean(scored, axis=0)
            assert list(scores.by_label()[label].values()) == pytest.approx(means[label])
        assert list(scores.macro().values()) == pytest.approx(np.mean([*means.values()], axis=0))


def test_a_label_at_random_beside_common_ones_has_the_numbers_of_chance():
    generator = np.random.default_rng(0)
    kinds = generator.integers(0, 2, 400)
    vectors = np.eye(2, dtype=np.float32)[kinds]
    odd = generator.random(400) < 0.2
    labels = ["ab"[kind] + ("|odd" if more else "") for kind, more in zip(kinds, odd, strict=True)]
    images = LabelledVectors(vectors, labels, [None] * 400)
    found = leave_one_out(images, Measures(CUTOFFS, by_label=True)).scores.by_label()
    assert found["a"]["map"] == found["b"]["map"] == 1
    assert found["odd"]["p_at_1"] == pytest.approx(0.2, abs=0.02)


def test_differences_and_their_intervals_are_of_each_label_alone():
    generator = np.random.default_rng(4)
    sides = [
        LabelledVectors(np.eye(4, dtype=np.float32)[generator.integers(0, 4, 8)], LABELS, PATIENTS)
        for _ in range(2)
    ]
    old, new = (leave_one_out(each, Measures(CUTOFFS, by_label=True)).scores for each in sides)
    apart = new.minus(old)
    for label, means in apart.by_label().items():
        for name, value in means.items():
            expected = new.by_label()[label][name] - old.by_label()[label][name]
            assert value == pytest.approx(expected, abs=1e-12)
    ends = intervals(new, range(8), 0).by_label
    for label, means in new.by_label().items():
        low, high = ends[label]["map"]
        assert low is None or low <= means["map"] <= high
