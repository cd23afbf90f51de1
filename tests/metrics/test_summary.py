import numpy as np
import pytest

from xmir_cli.metrics.summary import estimate, estimate_all


def test_mean_and_deviation_are_those_of_the_sample():
    found = estimate([1.0, 2.0, 4.0], ["a", "b", "c"])
    assert (found.mean, found.sd, found.n) == pytest.approx((7 / 3, np.std([1, 2, 4], ddof=1), 3))


def test_a_single_value_has_neither_deviation_nor_interval():
    found = estimate([0.5], ["a"])
    assert (found.mean, found.sd, found.n, found.low, found.high) == (0.5, None, 1, None, None)


def test_the_results_of_one_query_give_no_interval():
    assert estimate([0.1, 0.9], ["a", "a"]).low is None


def test_the_interval_of_many_normal_values_is_two_standard_errors():
    values = np.random.default_rng(1).normal(0.6, 0.1, 900)
    found = estimate(values.tolist(), range(900))
    assert found.low == pytest.approx(found.mean - 1.96 * found.sd / 30, abs=7e-4)
    assert found.high == pytest.approx(found.mean + 1.96 * found.sd / 30, abs=7e-4)


def test_copies_within_a_query_do_not_make_the_mean_surer():
    values = np.random.default_rng(1).normal(0.6, 0.1, 50)
    once = estimate(values.tolist(), range(50))
    often = estimate(np.repeat(values, 5).tolist(), np.repeat(np.arange(50), 5).tolist())
    assert (often.low, often.high) == pytest.approx((once.low, once.high))
    assert often.n == 250


def test_the_same_seed_gives_the_same_interval():
    values, queries = np.random.default_rng(0).random(40).tolist(), range(40)
    assert estimate(values, queries, 3) == estimate(values, queries, 3)
    assert estimate(values, queries, 3) != estimate(values, queries, 4)


def test_intervals_over_patients_hold_what_they_promise_and_over_queries_do_not():
    """200 experiments of 20 patients with 5 queries each; the true mean is 0."""
    covered = {"patients": 0, "queries": 0}
    for seed in range(200):
        random = np.random.default_rng(seed)
        values = (random.normal(size=(20, 1)) + random.normal(size=(20, 5)) / 2).ravel()
        for name, groups in (("patients", np.repeat(range(20), 5)), ("queries", range(100))):
            found = estimate(values, list(groups), seed)
            covered[name] += found.low <= 0 <= found.high
    assert covered["patients"] >= 176  # binomial(200, 0.93): a bootstrap of 20 is a little narrow
    assert covered["queries"] <= 140


def test_several_numbers_of_the_same_records_have_the_intervals_of_each_alone():
    rng = np.random.default_rng(2)
    groups = rng.integers(0, 30, 200).tolist()
    columns = {name: rng.normal(size=200).tolist() for name in "abc"}
    found = estimate_all(columns, groups, seed=5)
    assert found == {name: estimate(values, groups, seed=5) for name, values in columns.items()}
