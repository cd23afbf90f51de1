"""Conformal sets, beside naive loops, and how often they hold the right label."""

import math

import numpy as np
import pytest

from xmir_cli.metrics.conformal import conformal_bound, label_sets, novelty, own_scores


def test_the_bound_is_the_smallest_score_with_enough_below():
    scores = np.random.default_rng(0).random(19)
    for coverage in (0.5, 0.8, 0.9, 0.95):
        needed = math.ceil(20 * coverage - 1e-9)
        expected = next(each for each in sorted(scores) if (scores <= each).sum() >= needed)
        assert conformal_bound(scores, coverage) == expected
    assert conformal_bound(scores, 0.96) == math.inf


def test_scores_are_of_the_least_probable_own_label():
    probabilities = np.array([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1]])
    own = np.array([[True, True, False], [False, True, False]])
    assert own_scores(probabilities, own).tolist() == [0.8, 0.4]
    assert label_sets(probabilities, 0.7).tolist() == [[True, False, False], [True, True, False]]
    assert label_sets(probabilities, math.inf).all()


def test_novelty_is_the_share_of_smaller_distances():
    known = np.array([0.1, 0.2, 0.2, 0.4])
    assert novelty(0.2, known) == pytest.approx((1 + 2 / 2) / 4)
    assert novelty(1.0, known) == 1.0
    assert novelty(0.0, known) == 0.0


@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_sets_hold_the_label_as_often_as_is_asked_whatever_the_probabilities(coverage):
    held = []
    for seed in range(400):
        random = np.random.default_rng(seed)
        probabilities = random.dirichlet([0.4, 0.6, 1.0], 41)
        labels = random.integers(0, 3, 41)  # of which the probabilities know nothing
        own = np.eye(3, dtype=bool)[labels]
        bound = conformal_bound(own_scores(probabilities[1:], own[1:]), coverage)
        held.append(label_sets(probabilities[:1], bound)[0, labels[0]])
    error = math.sqrt(coverage * (1 - coverage) / 400)
    assert coverage - 3 * error < np.mean(held) < coverage + 1 / 41 + 3 * error
