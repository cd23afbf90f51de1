import numpy as np
import pytest

from xmir_cli.metrics.intervals import intervals
from xmir_cli.metrics.scores import Scores
from xmir_cli.metrics.summary import RESAMPLES

PAIRS = np.zeros((999, 2), dtype=np.int64)


def _scores(values, labels):
    values = np.array(values, dtype=float).reshape(len(labels), -1)
    names = ("map", "mrr")[: values.shape[1]]
    return Scores(names, values, labels, PAIRS[: len(labels)])


def test_intervals_are_the_quantiles_of_the_means_of_resampled_patients():
    generator = np.random.default_rng(0)
    labels = generator.choice(["a", "b", "a|b"], 40).tolist()
    values = generator.random((40, 2))
    values[7] = np.nan  # dropped
    patients = [f"p{row // 3}" if row % 5 else row for row in range(40)]
    found = intervals(_scores(values, labels), patients, seed=3)
    kept = [row for row in range(40) if row != 7]
    names = list(dict.fromkeys(patients[row] for row in kept))
    drawn = np.random.default_rng(3)
    micro, of_b, macro = [], [], []
    for _ in range(RESAMPLES // 100):
        for draw in drawn.integers(len(names), size=(100, len(names))):
            rows = [row for one in draw for row in kept if patients[row] == names[one]]
            micro.append(values[rows].mean(axis=0))
            with_label = {name: [r for r in rows if name in labels[r].split("|")] for name in "ab"}
            means = [values[own].mean(axis=0) for own in with_label.values() if own]
            of_b.append(values[with_label["b"]].mean(axis=0))
            if len(means) == 2:
                macro.append(np.mean(means, axis=0))
    for mine, expected in [
        (found.micro, micro),
        (found.by_label["b"], of_b),
        (found.macro, macro),
    ]:
        bounds = np.quantile(expected, [0.025, 0.975], axis=0)
        np.testing.assert_allclose([mine["map"], mine["mrr"]], bounds.T, atol=1e-12)


def test_more_queries_of_the_same_patients_make_nothing_surer():
    values = np.random.default_rng(1).random(50)
    once = intervals(_scores(values, ["a"] * 50), range(50), 0).micro["map"]
    repeated = _scores(np.repeat(values, 5), ["a"] * 250)
    often = intervals(repeated, np.repeat(np.arange(50), 5).tolist(), 0).micro["map"]
    alone = intervals(repeated, range(250), 0).micro["map"]
    assert often == pytest.approx(once)
    assert alone[1] - alone[0] < 0.6 * (once[1] - once[0])


def test_one_patient_alone_has_no_interval():
    found = intervals(_scores([0.1, 0.9], ["a", "b"]), ["p", "p"], 0)
    assert found.micro == found.macro == found.by_label["a"] == {"map": (None, None)}


def test_a_label_of_one_query_has_its_value():
    found = intervals(_scores([0.1, 0.9, 0.4], ["a", "a", "b"]), range(3), 0)
    assert found.by_label["b"]["map"] == pytest.approx((0.4, 0.4))


def test_resamples_that_lack_a_label_say_nothing_of_macro_means():
    values, labels = [0.5] * 30 + [0.1], ["a"] * 30 + ["b"]
    found = intervals(_scores(values, labels), range(31), 0)
    assert found.macro["map"] == pytest.approx((0.3, 0.3))
    assert found.by_label["b"]["map"] == pytest.approx((0.1, 0.1))


def test_a_mean_that_hardly_any_resample_has_is_without_an_interval():
    found = intervals(_scores(np.linspace(0, 1, 12), list("abcdefghijkl")), range(12), 0)
    assert found.macro["map"] == (None, None)
    assert found.micro["map"][0] is not None


def test_without_any_label_there_is_no_interval_over_labels():
    found = intervals(_scores(np.arange(8.0), [""] * 8), range(8), seed=0)
    assert found.macro == {"map": (None, None)}
    assert found.by_label == {}
    low, high = found.micro["map"]
    assert low < 3.5 < high
