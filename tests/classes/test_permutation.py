"""The label-permutation test with the largest statistic over the map."""

import numpy as np
import pytest

from xmir_cli.classes.permutation import corrected_p


def maps(seed, count, shift=0.0):
    drawn = np.random.default_rng(seed).normal(size=(count, 16))
    drawn[:, 5] += shift
    return drawn


def test_a_planted_difference_is_found_and_nothing_else():
    p = corrected_p(maps(0, 30, 3.0), maps(1, 30), 199)
    assert p[5] == 1 / 200
    assert (np.delete(p, 5) > 0.05).all()


def test_any_false_pixel_is_as_rare_as_promised():
    """200 experiments without a difference: about 5 % may show a pixel below 0.05."""
    false = sum(
        corrected_p(maps(2 * seed, 8), maps(2 * seed + 1, 8), 99).min() < 0.05
        for seed in range(200)
    )
    assert 2 <= false <= 20  # binomial(200, 0.05): 10 +- 3


def test_it_equals_the_loop_over_permutations_and_pixels():
    first, second = maps(3, 5, 1.0), maps(4, 7)

    def largest(a, b):
        values = []
        for pixel in range(16):
            x, y = a[:, pixel], b[:, pixel]
            error = np.sqrt(x.var(ddof=1) / len(x) + y.var(ddof=1) / len(y))
            values.append(abs(x.mean() - y.mean()) / error)
        return np.array(values)

    own = np.zeros((1, 12))
    own[0, :5] = 1
    rows = np.random.default_rng(0).permuted(np.repeat(own, 20, axis=0), axis=1)
    whole, observed = np.concatenate([first, second]), largest(first, second)
    peaks = [largest(whole[row == 1], whole[row == 0]).max() for row in rows]
    naive = [(1 + sum(peak >= value for peak in peaks)) / 21 for value in observed]
    assert corrected_p(first, second, 20) == pytest.approx(naive)


def test_the_same_maps_give_the_same_values_and_swapping_classes_keeps_them_near():
    first, second = maps(5, 20, 1.0), maps(6, 20)
    assert np.array_equal(corrected_p(first, second, 99), corrected_p(first, second, 99))
    assert np.abs(corrected_p(first, second, 999) - corrected_p(second, first, 999)).max() < 0.1


def test_a_pixel_that_separates_the_classes_without_spread_is_the_surest_of_all():
    first, second = maps(7, 8), maps(8, 8)
    first[:, 2], second[:, 2] = 0.3, 0.1
    p = corrected_p(first, second, 199)
    assert p[2] == p.min() == 1 / 200


@pytest.mark.parametrize("unit", [1e-30, 1e-6, 3e-3, 1e6])
def test_the_unit_of_the_maps_does_not_matter(unit):
    first, second = maps(9, 8, 1.0), maps(10, 9)
    first[:, 2], second[:, 2] = 0.3, 0.1
    found = corrected_p(unit * first, unit * second, 199)
    assert np.array_equal(found, corrected_p(first, second, 199))
    assert np.array_equal(corrected_p(first + 1000, second + 1000, 199), found)


def test_a_unit_with_both_labels_only_swaps():
    """Four patients, all with both labels: 16 ways, of which two separate as the labels do."""
    first, second = np.full((4, 1), 1.0), np.zeros((4, 1))
    pairs = [(0, 2), (1, 1), (2, 0), (3, 3)]
    swapped = corrected_p(first, second, 4000, pairs)
    assert swapped[0] == pytest.approx(2 / 16, abs=0.02)
    assert corrected_p(first, second, 4000)[0] == pytest.approx(2 / 70, abs=0.02)


def test_pixels_without_spread_never_differ():
    first, second = np.zeros((4, 3)), np.zeros((5, 3))
    assert (corrected_p(first, second, 50) == 1).all()
