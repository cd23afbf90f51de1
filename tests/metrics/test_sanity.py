import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from xmir_cli.metrics.sanity import agreement, scale_to_one, spearman, ssim


def a_map(seed, size=20):
    return np.random.default_rng(seed).normal(size=(size, size))


def test_a_map_agrees_with_itself():
    found = agreement(a_map(0), a_map(0))
    assert (found.spearman, found.spearman_abs, found.ssim) == pytest.approx((1, 1, 1))


def test_the_negated_map_has_signed_correlation_minus_one_and_absolute_one():
    found = agreement(a_map(0), -a_map(0))
    assert (found.spearman, found.spearman_abs) == pytest.approx((-1, 1))


def test_unrelated_maps_agree_hardly():
    found = agreement(a_map(0, 200), a_map(1, 200))
    assert abs(found.spearman) < 0.03
    assert abs(found.spearman_abs) < 0.03
    assert abs(found.ssim) < 0.1


@pytest.mark.parametrize("decimals", [8, 1, 0])
def test_spearman_gives_ties_their_mean_rank_as_scipy_does(decimals):
    first, second = a_map(0).round(decimals), (a_map(0) + a_map(1)).round(decimals)
    expected = spearmanr(first.ravel(), second.ravel()).statistic
    assert spearman(first, second) == pytest.approx(expected, abs=1e-12)


def test_a_constant_map_has_no_rank_correlation():
    found = agreement(np.zeros((9, 9)), a_map(0, 9))
    assert math.isnan(found.spearman)
    assert math.isnan(found.spearman_abs)
    assert not math.isnan(found.ssim)


def naive_ssim(x, y):
    """Window by window, sample covariances, as in Wang et al."""
    values = []
    for top in range(x.shape[0] - 6):
        for left in range(x.shape[1] - 6):
            a = x[top : top + 7, left : left + 7].ravel()
            b = y[top : top + 7, left : left + 7].ravel()
            covariance = np.cov(a, b)
            c1, c2 = 0.01**2, 0.03**2
            luminance = (2 * a.mean() * b.mean() + c1) / (a.mean() ** 2 + b.mean() ** 2 + c1)
            structure = (2 * covariance[0, 1] + c2) / (covariance[0, 0] + covariance[1, 1] + c2)
            values.append(luminance * structure)
    return np.mean(values)


def test_ssim_equals_the_formula_in_every_window():
    first, second = scale_to_one(a_map(0, 16)), scale_to_one(a_map(0, 16) + 0.5 * a_map(1, 16))
    assert ssim(first, second) == pytest.approx(naive_ssim(first, second), abs=1e-10)


def test_scaling_leaves_nothing_but_shape():
    assert scale_to_one(a_map(0)).min() == 0
    assert scale_to_one(a_map(0)).max() == 1
    np.testing.assert_allclose(scale_to_one(5 * a_map(0) - 3), scale_to_one(a_map(0)), atol=1e-12)
    assert not scale_to_one(np.full((3, 3), 7.0)).any()


def test_a_map_without_room_for_a_window_has_no_structure():
    thin = np.random.default_rng(0).random((6, 40))
    assert np.isnan(ssim(thin, thin))
    assert agreement(thin, thin).spearman == 1
