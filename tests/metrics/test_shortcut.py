"""Permutations of labels by patient, flips of signs, and Holm's correction, beside naive loops."""

import itertools

import numpy as np
import pytest

from xmir_cli.metrics.ranking import Measures
from xmir_cli.metrics.relevance import LabelledVectors
from xmir_cli.metrics.retrieval import leave_one_out
from xmir_cli.metrics.shortcut import Draws, flip_chance, holm, label_chance, number_units, shuffle


def draw_images(labels, groups, seed=0, pull=0.0):
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(len(labels), 6))
    vectors[:, 0] += pull * np.array([label == labels[0] for label in labels])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return LabelledVectors(vectors.astype(np.float32), labels, groups)


def naive_map(images, labels):
    """Mean average precision and P@1, one query after the other."""
    wide = images.vectors.astype(float)
    found, firsts = [], []
    for asking in range(len(labels)):
        others = [
            other
            for other in range(len(labels))
            if other != asking
            and (images.groups[asking] is None or images.groups[asking] != images.groups[other])
        ]
        others.sort(key=lambda other: -float(wide[asking] @ wide[other]))
        hits = [
            bool(set(labels[asking].split("|")) & set(labels[each].split("|"))) for each in others
        ]
        if any(hits):
            ranks = [rank for rank, hit in enumerate(hits, 1) if hit]
            found.append(np.mean([place / rank for place, rank in enumerate(ranks, 1)]))
            firsts.append(hits[0])
    return np.mean(found), np.mean(firsts)


def test_chance_is_the_mean_over_permuted_patients():
    labels = ["a", "a", "b", "b", "a", "b|c"]
    groups = ["1", "1", "2", "2", None, "3"]
    images = draw_images(labels, groups)
    # every way to give the patients' labels to patients
    own = {"1": "a", "2": "b", "": "a", "3": "b|c"}
    names, everything = list(own), []
    for order in itertools.permutations(own.values()):
        given = dict(zip(names, order, strict=True))
        everything.append(naive_map(images, [given[group or ""] for group in groups]))
    expected = np.mean(everything, axis=0)
    found = label_chance(images, Draws(1500, 1))
    assert [found.map, found.p_at_1] == pytest.approx(expected, abs=0.02)
    observed = naive_map(images, labels)[0]
    share = np.mean([value >= observed - 1e-12 for value, _ in everything])
    assert found.p == pytest.approx(share, abs=0.03)


def test_labels_that_are_found_have_a_small_p_and_others_do_not():
    labels, groups = ["a"] * 10 + ["b"] * 10, [None] * 20
    draws = Draws(199, 0)
    assert label_chance(draw_images(labels, groups, pull=8.0), draws).p <= 0.02
    found = [label_chance(draw_images(labels, groups, seed), draws).p for seed in range(20)]
    assert 0.3 < np.mean(found) < 0.7


def test_what_is_permuted_is_scored_as_retrieval_is():
    labels = ["a", "b", "a|b", "c", "c", "a", "b"]
    groups = ["1", "2", "1", None, None, "3", "3"]
    images = draw_images(labels, groups)
    found = leave_one_out(images, Measures((1,))).chosen(excluded=True).micro()
    assert [found["map"], found["p_at_1"]] == pytest.approx(naive_map(images, labels))


def test_equal_images_have_no_order_of_their_own():
    images = LabelledVectors(np.ones((8, 1), np.float32), ["a"] * 4 + ["b"] * 4, [None] * 8)
    found = [label_chance(images, Draws(99, seed)).p for seed in range(30)]
    assert 0.35 < np.mean(found) < 0.75


@pytest.mark.parametrize("labels", [["a", "a", "b", "b"], ["a", "b", "b"], ["a|b", "b", "c", "c"]])
def test_the_least_p_is_that_of_labels_by_other_names(labels):
    def relation(given):
        return [[bool(set(x.split("|")) & set(y.split("|"))) for y in given] for x in given]

    everything = list(itertools.permutations(labels))
    share = np.mean([relation(each) == relation(labels) for each in everything])
    images = draw_images(labels, [None] * len(labels))
    found = label_chance(images, Draws(2000, 0))
    assert found.least == pytest.approx(share, abs=0.03)
    assert found.p >= found.least


def test_a_patients_labels_stay_together():
    random = np.random.default_rng(0)
    units = number_units(["x", None, "x", "y", "y", None, "z"])
    assert units.tolist() == [0, 1, 0, 2, 2, 3, 4]
    for _ in range(20):
        one = shuffle(np.array([5, 6, 5, 7, 7, 8, 9]), units, random)
        assert (one[0], one[3]) == (one[2], one[4])
        assert len({one[0], one[1], one[3], one[5], one[6]}) == 5
        several = shuffle(np.array([1, 2, 3, 4, 5, 6, 7]), units, random)
        assert (several[0], several[2]) in {(1, 3), (4, 5)}
        assert {several[1], several[5], several[6]} == {2, 6, 7}


def test_signs_are_flipped_by_patient():
    values = np.array([0.5, 0.2, -0.1, 0.4, 0.3])
    units = np.array([0, 0, 1, 2, 3])
    sums = [0.7, -0.1, 0.4, 0.3]
    flips = [
        sum(s * v for s, v in zip(signs, sums, strict=True))
        for signs in itertools.product((1, -1), repeat=4)
    ]
    share = np.mean([each >= sum(sums) - 1e-12 for each in flips])
    assert flip_chance(values, units, Draws(8000, 0)).p == pytest.approx(share, abs=0.02)


def test_the_largest_of_several_means_is_corrected_for():
    values = np.array([0.5, 0.2, -0.1, 0.4])
    parts = np.array([[True, True, False, False], [False, False, True, True]])
    reached = []
    for signs in itertools.product((1, -1), repeat=4):
        flipped = values * signs
        reached.append(max(flipped[:2].mean(), flipped[2:].mean()) >= 0.35 - 1e-12)
    found = flip_chance(values, np.arange(4), Draws(8000, 0), parts)
    assert found.least == pytest.approx(1 / 16, abs=0.02)
    assert found.p == pytest.approx(np.mean(reached), abs=0.02)


def test_holm_corrects_step_by_step():
    # Holm 1979: smallest times 3, next times 2, and never below one before
    assert holm([0.03, 0.01, 0.04]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
