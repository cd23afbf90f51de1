import math

import numpy as np
import pytest

from xmir_cli.labels import LabelSets
from xmir_cli.metrics.votes import (
    DOUBTS,
    TEMPERATURES,
    Ballots,
    VoteRule,
    calibration_error,
    fit_votes,
    vote,
)


def naive(similarities, kinds, holds, frequencies, rule):
    """The votes of one image, in plain loops."""
    there = [(s, kind) for s, kind in zip(similarities, kinds, strict=True) if kind >= 0]
    there = [(s, kind) for s, kind in there if not math.isnan(s)]
    if not there:
        return list(frequencies)
    most = max(s for s, _ in there)
    weights = [(math.exp((s - most) / rule.temperature), kind) for s, kind in there]
    total = sum(weight for weight, _ in weights)
    found = []
    for label, usual in enumerate(frequencies):
        share = sum(weight for weight, kind in weights if holds[kind][label])
        found.append((1 - rule.doubt) * share / total + rule.doubt * usual)
    return found


@pytest.fixture
def some():
    """Ballots of images with one or two of three labels, some without, some missing."""
    rng = np.random.default_rng(0)
    labels = LabelSets([*rng.choice(["a", "b", "c", "a|b"], 60), None])
    kinds = labels.kinds[rng.integers(0, 60, (40, 5))]
    similarities = rng.uniform(-0.2, 1, (40, 5))
    kinds[rng.random((40, 5)) < 0.1] = -1
    similarities[rng.random((40, 5)) < 0.1] = np.nan
    kinds[3] = -1
    frequencies = labels.holds[labels.kinds[:60]].mean(axis=0)
    return Ballots(similarities, kinds), labels, frequencies


@pytest.mark.parametrize("rule", [VoteRule(0.05, 0.1), VoteRule(1.0, 0.001), VoteRule(10, 0.5)])
def test_votes_are_those_of_plain_loops(some, rule):
    ballots, labels, frequencies = some
    found = vote(ballots, labels.holds, frequencies, rule)
    for row, told in enumerate(found):
        asked = (ballots.similarities[row], ballots.kinds[row])
        assert told == pytest.approx(naive(*asked, labels.holds, frequencies, rule))
    assert found[3].tolist() == frequencies.tolist()


def test_no_probability_is_above_1_by_rounding():
    similarities = np.random.default_rng(1).uniform(0, 1, (500, 7))
    ballots = Ballots(similarities, np.zeros((500, 7), dtype=np.int64))
    found = vote(ballots, np.array([[True]]), np.array([1.0]), VoteRule(0.1, 0.001))
    assert found.max() <= 1
    assert found.min() > 1 - 1e-12


def log_likelihood(told, has, several):
    """Of the own labels; where images have several, of each label being there or not."""
    if several:
        return sum(math.log(p if own else 1 - p) for p, own in zip(told, has, strict=True))
    (label,) = np.flatnonzero(has)
    return math.log(told[label])


@pytest.mark.parametrize("several", [False, True])
def test_the_rule_is_the_likeliest_of_all(some, several):
    ballots, labels, frequencies = some
    own = labels.kinds[:40].copy()
    if not several:
        own[labels.holds[own].sum(axis=1) > 1] = -1
    rule = fit_votes(ballots, own, labels.holds, frequencies)
    assert rule.is_stretched == several

    def likelihood(asked):
        total = 0.0
        for row in range(40):
            if row == 3 or own[row] < 0:
                continue
            told = naive(
                ballots.similarities[row], ballots.kinds[row], labels.holds, frequencies, asked
            )
            total += log_likelihood(told, labels.holds[own[row]], several)
        return total

    most = max(likelihood(VoteRule(t, d)) for t in TEMPERATURES[::5] for d in DOUBTS[::4])
    assert likelihood(rule) >= most - 1e-9


def made_up(count, seed):
    """Images [n] with any of four labels, and 7 neighbours each that know half of these."""
    rng = np.random.default_rng(seed)
    has = rng.random((count, 4)) < [0.5, 0.3, 0.2, 0.1]
    agree = rng.random((count, 7, 4)) < 0.5
    others = rng.random((count, 7, 4)) < has.mean(axis=0)
    held = np.where(agree, has[:, None], others)
    numbers = (held * [1, 2, 4, 8]).sum(axis=2)
    holds = np.array([[bool(kind >> place & 1) for place in range(4)] for kind in range(16)])
    ballots = Ballots(rng.uniform(0.5, 0.6, numbers.shape), numbers)
    return ballots, (has * [1, 2, 4, 8]).sum(axis=1), holds, has.mean(axis=0)


def test_of_several_labels_each_probability_is_calibrated():
    ballots, own, holds, frequencies = made_up(3000, 0)
    rule = fit_votes(ballots, own, holds, frequencies)
    asked, truth, _, _ = made_up(3000, 1)
    told, right = vote(asked, holds, frequencies, rule), holds[truth]
    assert calibration_error(told, right, several=True) < 0.02
    for low in np.arange(0, 1, 0.2):
        inside = (told >= low) & (told < low + 0.2)
        assert told[inside].mean() == pytest.approx(right[inside].mean(), abs=0.08)
    plain = vote(asked, holds, frequencies, rule._replace(slope=1.0, shift=0.0))
    assert calibration_error(plain, right, several=True) > 0.04  # what neighbours say as it is


def test_slope_and_shift_are_where_no_change_is_likelier():
    ballots, own, holds, frequencies = made_up(300, 2)
    rule = fit_votes(ballots, own, holds, frequencies)

    def likelihood(slope, shift):
        told = vote(ballots, holds, frequencies, rule._replace(slope=slope, shift=shift))
        held = (slope - 1) ** 2 / 2 + shift**2 / 2
        return np.log(np.where(holds[own], told, 1 - told)).sum() - held

    most = likelihood(rule.slope, rule.shift)
    for slope, shift in [(0.01, 0), (-0.01, 0), (0, 0.01), (0, -0.01)]:
        assert likelihood(rule.slope + slope, rule.shift + shift) < most


def test_of_labels_that_go_by_similarity_the_probabilities_are_calibrated():
    """A neighbour has the image's label with a probability that grows with its similarity."""
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, 4000)
    similarities = rng.uniform(0, 1, (4000, 5))
    agree = rng.random((4000, 5)) < 1 / (1 + np.exp(-2 * similarities))
    kinds = np.where(agree, truth[:, None], 1 - truth[:, None])
    holds, frequencies = np.eye(2, dtype=bool), np.array([0.5, 0.5])
    ballots = Ballots(similarities, kinds)
    rule = fit_votes(ballots, truth, holds, frequencies)
    found = vote(ballots, holds, frequencies, rule)
    assert calibration_error(found, holds[truth], several=False) < 0.03
    sure = vote(ballots, holds, frequencies, VoteRule(0.01, 0.001))
    assert calibration_error(sure, holds[truth], several=False) > 0.15


def test_neighbours_that_say_nothing_of_a_label_are_not_believed():
    rng = np.random.default_rng(2)
    truth, kinds = rng.integers(0, 2, 4000), rng.integers(0, 2, (4000, 3))
    holds, frequencies = np.eye(2, dtype=bool), np.array([0.5, 0.5])
    ballots = Ballots(rng.uniform(0, 1, (4000, 3)), kinds)
    rule = fit_votes(ballots, truth, holds, frequencies)
    assert rule.doubt > 0.9
    assert (
        calibration_error(vote(ballots, holds, frequencies, rule), holds[truth], several=False)
        < 0.03
    )


def test_the_calibration_error_is_the_mean_distance_of_tenths():
    told = np.array([[0.9, 0.1]] * 10 + [[0.4, 0.6]] * 10)
    own = np.array([[True, False]] * 7 + [[False, True]] * 9 + [[True, False]] * 4)
    # ten of probability .9, 7 of them right; ten of .6, 6 of them right: each tenth has two
    by_hand = np.mean([*[0.1] * 3, 0.4, 0.9, *[0.4] * 3, *[0.6] * 2])
    assert calibration_error(told, own, several=False) == pytest.approx(by_hand)
    assert calibration_error(np.array([[1.0, 0.0]]), np.array([[True, False]]), several=False) == 0


def test_nothing_is_fitted_without_labels_or_neighbours():
    nobody = Ballots(np.full((2, 3), np.nan), np.zeros((2, 3), dtype=np.int64))
    frequencies = np.array([1.0])
    assert fit_votes(nobody, np.array([0, 0]), np.eye(1, dtype=bool), frequencies) is None
    there = Ballots(np.ones((2, 3)), np.zeros((2, 3), dtype=np.int64))
    assert fit_votes(there, np.array([-1, -1]), np.eye(1, dtype=bool), frequencies) is None


def test_of_several_labels_all_answers_are_judged():
    told, own = np.array([[0.9, 0.6], [0.2, 0.3]]), np.array([[True, True], [False, False]])
    # four answers in four parts: .2 and .3 are wrong by as much, .6 and .9 by what they lack to 1
    assert calibration_error(told, own, several=True) == pytest.approx((0.2 + 0.3 + 0.4 + 0.1) / 4)
