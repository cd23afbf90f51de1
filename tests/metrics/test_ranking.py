import numpy as np
import pytest

from xmir_cli.metrics.ranking import Measures, Ranking, score


def _numbers(hits, cutoffs=(1, 2), mode="standard", counted=None):
    relevant = np.array([hits], dtype=bool)
    counts = np.ones_like(relevant) if counted is None else np.array([counted], dtype=bool)
    measures = Measures(cutoffs, mode)
    values = score(Ranking(relevant, counts), measures)[0].tolist()
    return dict(zip(measures.names, values, strict=True))


def _ceiling(per_class, images):
    """Closed form of the released evaluator for a perfect ranking."""
    m, n = per_class, images
    return ((m - 1) + ((m - 1) / (n - 1) + m / n) / 2) / m


def test_numbers_of_a_ranking_worked_out_by_hand():
    # hits at ranks 2 and 3 of 4: AP = (1/2 + 2/3) / 2, R = 2
    assert _numbers([0, 1, 1, 0]) == pytest.approx(
        {
            "map": 7 / 12,
            "p_at_1": 0,
            "p_at_2": 1 / 2,
            "r_precision": 1 / 2,
            "map_at_r": 1 / 4,
            "mrr": 1 / 2,
            "recall_at_1": 0,
            "recall_at_2": 1,
        },
        abs=1e-15,
    )


@pytest.mark.parametrize("hits", [[1, 1, 1, 1], [1, 1, 0, 0]])
def test_a_perfect_ranking_has_all_ones(hits):
    assert set(_numbers(hits).values()) == {1.0}


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
    assert _numbers([1, 1], cutoffs=(4,))["p_at_4"] == 0.5


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
        ranks = [*np.flatnonzero(hits), len(hits)]  # the query itself stands last
        terms = [
            ((j / rank if rank else 1.0) + (j + 1) / (rank + 1)) / 2 for j, rank in enumerate(ranks)
        ]
        expected = sum(terms) / len(ranks)
        assert _numbers(hits, mode="x-mir")["map"] == pytest.approx(expected, abs=1e-12)


def test_the_released_evaluator_differs_in_map_only():
    standard, released = _numbers([0, 1, 1, 0]), _numbers([0, 1, 1, 0], mode="x-mir")
    assert {name for name in standard if standard[name] != released[name]} == {"map"}


def test_map_at_r_is_at_most_r_precision_and_map():
    generator = np.random.default_rng(1)
    for _ in range(50):
        numbers = _numbers([True, *(generator.random(30) < 0.4)][::-1])
        assert numbers["map_at_r"] <= min(numbers["r_precision"], numbers["map"]) + 1e-15
        assert numbers["p_at_1"] == numbers["recall_at_1"]
