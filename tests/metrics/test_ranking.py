import itertools
import math

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from xmir_cli.metrics.ranking import Measures, score
from xmir_cli.metrics.ties import ITSELF, kinds_of, rank


def _numbers(grades, cutoffs=(1, 2), mode="standard", counted=None, similarities=None):
    """Of items in the order of their ranks, or with these similarities."""
    if similarities is None:
        similarities = -np.linspace(0, 1, len(grades))
    values = sorted({grade for grade in map(float, grades) if grade}, reverse=True)
    numbers = [values.index(grade) + 1 if grade else 0 for grade in grades]
    kinds = kinds_of(np.array([numbers]))
    if counted is not None:
        kinds |= np.where(counted, 0, ITSELF).astype(kinds.dtype)
    measures = Measures(cutoffs, mode)
    ranking = rank(np.array([similarities], dtype=float), kinds, 1e-12)
    ties = ranking.ties(np.array([[0, *values]]), ITSELF)
    return dict(zip(measures.names, score(ties, measures)[0].tolist(), strict=True))


def _numbers_of(grades, cutoffs, mode="standard"):
    """The numbers of one ranking, its items' grades in order; as `Measures(cutoffs).names`."""
    hits = [grade > 0 for grade in grades]
    total = sum(hits)
    if not total and mode == "standard":
        return None
    precision = [sum(hits[: k + 1]) / (k + 1) for k in range(len(hits))]
    at_r = [p for p, hit in zip(precision[:total], hits[:total], strict=True) if hit]
    average = sum(p for p, hit in zip(precision, hits, strict=True) if hit) / max(total, 1)
    return {
        "map": average if mode == "standard" else _released(hits),
        **{f"p_at_{k}": sum(hits[:k]) / k for k in cutoffs},
        "r_precision": sum(hits[:total]) / max(total, 1),
        "map_at_r": sum(at_r) / max(total, 1),
        "mrr": 1 / (hits.index(True) + 1) if total else 0.0,
        "ndcg": _ndcg(grades, len(grades)),
        **{f"recall_at_{k}": float(any(hits[:k])) for k in cutoffs},
        **{f"ndcg_at_{k}": _ndcg(grades, k) for k in cutoffs},
    }


def _released(hits):
    """The released evaluator's average precision: the query itself is relevant and stands last."""
    ranks = [*np.flatnonzero(hits).tolist(), len(hits)]
    terms = [
        ((j / rank if rank else 1.0) + (j + 1) / (rank + 1)) / 2 for j, rank in enumerate(ranks)
    ]
    return sum(terms) / len(ranks)


def _expected(similarities, grades, cutoffs, mode="standard"):
    """The mean of `_numbers_of` over all orders of equally similar items."""
    groups = [
        [grade for one, grade in zip(similarities, grades, strict=True) if one == value]
        for value in sorted(set(similarities), reverse=True)
    ]
    orders = itertools.product(*(itertools.permutations(group) for group in groups))
    found = [_numbers_of([*itertools.chain(*order)], cutoffs, mode) for order in orders]
    if found[0] is None:
        return None
    return {name: math.fsum(each[name] for each in found) / len(found) for name in found[0]}


def _ndcg(grades, cutoff):
    def dcg(values):
        return sum(value / math.log2(k + 2) for k, value in enumerate(values[:cutoff]))

    ideal = dcg(sorted(grades, reverse=True))
    return dcg(grades) / ideal if ideal else 0.0


def _ceiling(per_class, images):
    """Closed form of the released evaluator for a perfect ranking."""
    m, n = per_class, images
    return ((m - 1) + ((m - 1) / (n - 1) + m / n) / 2) / m


def test_numbers_of_a_ranking_worked_out_by_hand():
    # hits at ranks 2 and 3 of 4: AP = (1/2 + 2/3) / 2, R = 2
    best = 1 + 1 / np.log2(3)
    assert _numbers([0, 1, 1, 0]) == pytest.approx(
        {
            "map": 7 / 12,
            "p_at_1": 0,
            "p_at_2": 1 / 2,
            "r_precision": 1 / 2,
            "map_at_r": 1 / 4,
            "mrr": 1 / 2,
            "ndcg": (1 / np.log2(3) + 1 / 2) / best,
            "recall_at_1": 0,
            "recall_at_2": 1,
            "ndcg_at_1": 0,
            "ndcg_at_2": 1 / np.log2(3) / best,
        },
        abs=1e-15,
    )


def test_numbers_of_a_tie_worked_out_by_hand():
    # one relevant item among three equal ones: at rank 1, 2 or 3, each in a third of the orders
    found = _numbers([0, 1, 0], similarities=[0.5, 0.5, 0.5])
    discounts = [1, 1 / np.log2(3), 1 / 2]
    assert found == pytest.approx(
        {
            "map": (1 + 1 / 2 + 1 / 3) / 3,
            "p_at_1": 1 / 3,
            "p_at_2": 1 / 3,
            "r_precision": 1 / 3,
            "map_at_r": 1 / 3,
            "mrr": (1 + 1 / 2 + 1 / 3) / 3,
            "ndcg": sum(discounts) / 3,
            "recall_at_1": 1 / 3,
            "recall_at_2": 2 / 3,
            "ndcg_at_1": 1 / 3,
            "ndcg_at_2": sum(discounts[:2]) / 3,
        },
        abs=1e-15,
    )


@pytest.mark.parametrize("mode", ["standard", "x-mir"])
@pytest.mark.parametrize("seed", range(40))
def test_numbers_are_means_over_all_orders_of_ties(seed, mode):
    generator = np.random.default_rng(seed)
    count = int(generator.integers(1, 7))
    similarities = generator.integers(0, int(generator.integers(1, 4)), count) / 4
    grades = generator.choice([0, 0, 1 / 3, 0.5, 1], count)
    found = _numbers(grades, (1, 2, 3, 5), mode, similarities=similarities)
    expected = _expected(similarities.tolist(), grades.tolist(), (1, 2, 3, 5), mode)
    if expected is None:
        assert np.isnan(list(found.values())).all()
    else:
        assert found == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("seed", range(5))
def test_ndcg_equals_scikit_learns_ties_and_all(seed):
    generator = np.random.default_rng(seed)
    similarities, grades = generator.integers(0, 8, 50) / 8, generator.choice([0, 0.25, 1], 50)
    found = _numbers(grades, (1, 7, 50), similarities=similarities)
    for name, k in [("ndcg", None), ("ndcg_at_1", 1), ("ndcg_at_7", 7), ("ndcg_at_50", 50)]:
        assert found[name] == pytest.approx(ndcg_score([grades], [similarities], k=k), abs=1e-12)


def test_a_few_rounding_errors_apart_is_tied_and_more_is_not():
    assert _numbers([0, 1], similarities=[0.3, 0.3 - 1e-15])["p_at_1"] == 0.5
    assert _numbers([0, 1], similarities=[0.3, 0.3 - 1e-9])["p_at_1"] == 0


def test_a_tie_reaches_over_k_only_with_what_counts():
    # the second of three equal ones does not count: the others have the first two places
    found = _numbers([1, 0, 1], counted=[1, 0, 1], similarities=[1, 1, 1])
    assert found["p_at_2"] == found["map"] == 1


@pytest.mark.parametrize("similarities", [None, [1, 1, 1, 0, 0, 0]])
@pytest.mark.parametrize("hits", [[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]])
def test_a_perfect_ranking_has_all_ones_to_the_last_bit(hits, similarities):
    assert set(_numbers(hits, similarities=similarities).values()) == {1.0}


def test_a_reversed_perfect_ranking_has_its_closed_form():
    # R hits after N - R misses: AP = 1/R sum_j j / (N - R + j)
    expected = sum(j / (7 + j) for j in range(1, 4)) / 3
    assert _numbers([0] * 7 + [1] * 3)["map"] == pytest.approx(expected, abs=1e-15)


def test_misses_at_the_end_change_nothing():
    assert _numbers([0, 1, 1, 0]) == _numbers([0, 1, 1, 0] + [0] * 50)


def test_what_does_not_count_is_as_if_it_were_not_there():
    assert _numbers([1, 0, 1, 1, 0], counted=[0, 1, 1, 1, 1]) == _numbers([0, 1, 1, 0])


def test_a_query_without_relevant_items_has_no_numbers():
    assert np.isnan(list(_numbers([0, 0, 0]).values())).all()


def test_a_ranking_shorter_than_k_counts_as_followed_by_misses():
    found = _numbers([1, 1], cutoffs=(4,))
    assert (found["p_at_4"], found["ndcg_at_4"]) == (0.5, 1)


@pytest.mark.parametrize(
    ("per_class", "images", "ceiling"), [(100, 300, 0.993322), (90, 270, 0.992579)]
)
def test_the_released_evaluators_ceiling_is_below_one(per_class, images, ceiling):
    hits = [1] * (per_class - 1) + [0] * (images - per_class)
    found = _numbers(hits, mode="x-mir")["map"]
    assert found == pytest.approx(_ceiling(per_class, images), abs=1e-12)
    assert found == pytest.approx(ceiling, abs=5e-7)


def test_the_released_evaluators_precision_equals_its_naive_loop():
    generator = np.random.default_rng(0)
    for _ in range(20):
        hits = generator.random(40) < 0.3
        hits[5] = True
        expected = _released(hits)
        assert _numbers(hits, mode="x-mir")["map"] == pytest.approx(expected, abs=1e-12)


def test_the_released_evaluator_counts_a_query_without_a_partner():
    # it is its own only relevant image, at the last of five ranks: (0 / 4 + 1 / 5) / 2
    found = _numbers([0, 0, 0, 0], mode="x-mir")
    assert found.pop("map") == pytest.approx(1 / 10, abs=1e-15)
    assert set(found.values()) == {0}


def test_the_released_evaluator_differs_in_map_only():
    standard, released = _numbers([0, 1, 1, 0]), _numbers([0, 1, 1, 0], mode="x-mir")
    assert {name for name in standard if standard[name] != released[name]} == {"map"}


def test_map_at_r_is_at_most_r_precision_and_map():
    generator = np.random.default_rng(1)
    for _ in range(50):
        numbers = _numbers([True, *(generator.random(30) < 0.4)][::-1])
        assert numbers["map_at_r"] <= min(numbers["r_precision"], numbers["map"]) + 1e-15
        assert numbers["p_at_1"] == numbers["recall_at_1"]
