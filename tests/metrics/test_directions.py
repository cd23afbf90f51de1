"""Directions of concepts, beside naive loops."""

import itertools

import numpy as np
import pytest

from xmir_cli.metrics.directions import (
    count_chance,
    difference_of_means,
    held_out_auroc,
    logistic_weights,
    shuffle_kinds,
    shuffled_differences,
    unit_directions,
)


def _unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _examples(count, dim=8, shift=0.0, seed=0):
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(2 * count, dim))
    vectors[:count, 0] += shift
    return _unit(vectors), np.arange(2 * count) < count


def test_the_difference_of_means_is_that_of_a_loop_over_examples():
    vectors, kinds = _examples(7)
    rows = np.stack([kinds, np.roll(kinds, 3)])
    found = difference_of_means(vectors, rows)
    for row, own in zip(rows, found, strict=True):
        expected = np.zeros(8)
        for vector, shows in zip(vectors, row, strict=True):
            expected += vector / row.sum() if shows else -vector / (~row).sum()
        assert own == pytest.approx(expected)


def test_directions_have_length_one_or_nothing():
    found = unit_directions(np.array([[3.0, 4.0], [0.0, 1e-12]]))
    assert found.tolist() == [[0.6, 0.8], [0.0, 0.0]]


def test_logistic_weights_are_those_of_a_regression_on_all_numbers():
    linear = pytest.importorskip("sklearn.linear_model")
    vectors, kinds = _examples(20, dim=30, shift=1.0)
    own = logistic_weights(vectors, kinds[None])[0]
    model = linear.LogisticRegression(class_weight="balanced", tol=1e-8, max_iter=10_000)
    expected = model.fit(vectors, kinds).coef_[0]
    assert own @ expected / np.linalg.norm(own) / np.linalg.norm(expected) > 0.9999


@pytest.mark.parametrize("spread", [1.0, 0.1, 0.01])
def test_logistic_weights_are_the_least_of_the_loss_by_newton(spread):
    """Of examples that can be told apart, as far apart as embeddings are; more of one kind."""
    pytest.importorskip("sklearn")
    vectors, kinds = _examples(12, dim=5, shift=4.0, seed=2)
    vectors, kinds = _unit(np.array([3.0, 1, 0, 0, 0]) + spread * vectors)[3:], kinds[3:]
    signs, (more, fewer) = np.where(kinds, 1.0, -1.0), (12, 9)
    counts = np.where(kinds, 21 / (2 * fewer), 21 / (2 * more))
    inputs = np.column_stack([vectors, np.ones(21)])
    penalty = np.diag([1.0] * 5 + [0.0])
    expected = np.zeros(6)
    for _ in range(50):
        doubts = 1 / (1 + np.exp(signs * (inputs @ expected)))
        slope = penalty @ expected - inputs.T @ (counts * signs * doubts)
        bend = penalty + inputs.T @ (inputs * (counts * doubts * (1 - doubts))[:, None])
        expected -= np.linalg.solve(bend, slope)
    assert np.abs(slope).max() < 1e-12
    found = logistic_weights(vectors, kinds[None])[0]
    assert found == pytest.approx(expected[:5], rel=1e-5, abs=1e-7)


def test_shuffles_keep_the_kinds_of_whole_patients_together():
    # patients a and b show it, c, d and e do not, m has both
    units = list("aabbbccdemmm")
    kinds = np.array([unit in "ab" for unit in units])
    kinds[9] = True
    found = shuffle_kinds(kinds, units, 300, 0)
    seen = set()
    for row in found:
        shows = {u: {bool(row[i]) for i, x in enumerate(units) if x == u} for u in "abcde"}
        assert all(len(each) == 1 for each in shows.values())
        assert sum(True in each for each in shows.values()) == 2
        assert row[9:].sum() == 1
        seen.add(tuple(row))
    assert len(seen) == 10 * 3  # all ways there are


def test_shuffles_are_the_same_for_a_seed():
    _, kinds = _examples(6)
    units = [str(each) for each in range(12)]
    one, same, other = (shuffle_kinds(kinds, units, 20, seed) for seed in (1, 1, 2))
    assert (one == same).all()
    assert (one != other).any()


def test_blocks_of_shuffles_are_those_of_one_at_a_time():
    vectors, kinds = _examples(6)
    shuffled = shuffle_kinds(kinds, range(12), 300, 0)
    found = shuffled_differences(vectors, shuffled, difference_of_means)
    one = [difference_of_means(vectors, row[None])[0] for row in shuffled]
    assert found == pytest.approx(np.stack(one))


def test_chance_counts_what_is_as_large_in_size_and_the_thing_itself():
    by_chance = np.array([[0.1, 0.1], [-0.3, 0.3], [0.2, -0.5], [0.3, 0.0]])
    assert count_chance(np.array([0.3, -0.4]), by_chance).tolist() == [3 / 5, 2 / 5]
    assert count_chance(np.array([0.0]), np.zeros((9, 1))).tolist() == [1.0]


def test_p_of_examples_that_do_not_differ_is_even():
    low = 0
    for seed in range(60):
        vectors, kinds = _examples(8, seed=seed)
        shuffled = shuffle_kinds(kinds, range(16), 99, seed)
        own = np.linalg.norm(difference_of_means(vectors, kinds[None]), axis=1)
        lengths = np.linalg.norm(difference_of_means(vectors, shuffled), axis=1)
        low += float(count_chance(own, lengths[:, None])[0]) <= 0.1
    assert low <= 12  # 6 are expected; more than 12 in 0.5 % of all such tests


@pytest.mark.parametrize("who", ["examples", "others"])
def test_p_of_what_a_concept_holds_is_even_where_the_kinds_mean_nothing(who):
    """Even where the two images were examples themselves: it is the kinds that are shuffled."""
    found = []
    for seed in range(400):
        vectors, kinds = _examples(8, dim=6, seed=seed)
        vectors = _unit(vectors + np.array([2.0, 1, 0, 0, 0, 0]))  # what all images share
        one, other = (
            vectors[[0, 9]] if who == "examples" else _examples(1, dim=6, seed=500 + seed)[0]
        )
        rows = np.concatenate([kinds[None], shuffle_kinds(kinds, range(16), 19, seed)])
        along = unit_directions(difference_of_means(vectors, rows))
        parts = (along @ one) * (along @ other)
        found.append(count_chance(parts[:1], parts[1:, None])[0])
    assert set(np.round(np.array(found) * 20, 9)) == set(range(1, 21))
    for level in (0.05, 0.2, 0.5, 0.8):
        error = 3 * np.sqrt(level * (1 - level) / 400)
        assert abs(np.mean(np.array(found) <= level + 1e-9) - level) < error


def test_held_out_examples_are_told_apart_only_where_there_is_something():
    nothing = [_auroc(shift=0.0, seed=seed) for seed in range(20)]
    assert 0.4 < np.mean(nothing) < 0.6
    assert _auroc(shift=3.0) > 0.9


def test_copies_of_a_patient_are_held_out_together():
    """Each patient twice, of no kind: images of one in two folds would give it away."""
    aurocs = []
    for seed in range(20):
        vectors, kinds = _examples(10, dim=64, seed=seed)
        twice = np.repeat(vectors, 2, axis=0)
        units = [place // 2 for place in range(40)]
        args = (twice, np.repeat(kinds, 2))
        aurocs.append(held_out_auroc(*args, units, difference_of_means, 0))
    assert np.mean(aurocs) < 0.6


def test_few_examples_have_no_held_out_number():
    vectors, kinds = _examples(1)
    assert held_out_auroc(vectors, kinds, range(2), difference_of_means, 0) is None


def _auroc(shift, seed=0):
    vectors, kinds = _examples(15, shift=shift, seed=seed)
    found = held_out_auroc(vectors, kinds, range(30), difference_of_means, seed)
    assert found is not None
    return found


def test_the_auroc_is_that_of_pairs_counted_one_by_one():
    vectors, kinds = _examples(10, shift=0.5)
    numbers = np.arange(20)
    order = np.random.default_rng(3).permutation(20)
    order = np.array(sorted(order, key=lambda each: kinds[each]))
    folds = {int(each): place % 5 for place, each in enumerate(order)}
    found = []
    for fold in range(5):
        held = np.array([folds[each] == fold for each in numbers])
        direction = difference_of_means(vectors[~held], kinds[~held][None])[0]
        pairs = itertools.product(vectors[held & kinds], vectors[held & ~kinds])
        found.append(np.mean([one @ direction > other @ direction for one, other in pairs]))
    expected = np.mean(found)
    assert held_out_auroc(vectors, kinds, range(20), difference_of_means, 3) == expected
