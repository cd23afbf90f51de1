import math
from fractions import Fraction

import numpy as np
import pytest

from xmir_cli.gallery.vectors import center_rows, mean_vector, products, unit_rows


def _unit(count, dim=16, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_products_are_float64_sums_and_equal_for_equal_rows():
    vectors, query = _unit(9, dim=37), _unit(1, dim=37, seed=1)[0]
    vectors[5] = vectors[2]
    found = products(vectors, query)
    naive = [sum(float(a) * float(b) for a, b in zip(row, query, strict=True)) for row in vectors]
    np.testing.assert_allclose(found, naive, atol=1e-15)
    assert found[5] == found[2]
    assert [products(row[None], query)[0] for row in vectors] == found.tolist()


def test_unit_rows_scales_what_is_off_and_keeps_what_is_not():
    vectors = np.concatenate([_unit(2), 3 * _unit(1, seed=1)])
    rows, usable = unit_rows(vectors)
    assert usable.all()
    assert rows[:2].tobytes() == vectors[:2].tobytes()
    np.testing.assert_allclose(rows[2], _unit(1, seed=1)[0], atol=1e-7)


def test_unit_rows_scales_what_half_precision_left_off():
    halves = _unit(50, dim=200).astype(np.float16)
    rows, _ = unit_rows(halves)
    assert rows.dtype == np.float32
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1)
    given = np.linalg.norm(halves.astype(np.float64), axis=1)
    assert np.abs(lengths - 1).max() <= 1e-6 < 2e-5 < np.abs(given - 1).max()
    assert unit_rows(rows)[0].tobytes() == rows.tobytes()


def test_unit_rows_names_what_cannot_be_used():
    vectors = np.array([[1, 0], [np.nan, 1], [np.inf, 0], [0, 0], [3e38, 3e38]], dtype=np.float32)
    rows, usable = unit_rows(vectors)
    assert usable.tolist() == [True, False, False, False, True]
    np.testing.assert_allclose(rows[4], [0.5**0.5] * 2, rtol=1e-6)


@pytest.mark.parametrize("size", [1, 7, 2048, 2049, 5000])
def test_the_mean_is_the_same_bits_however_it_is_blocked_and_in_any_order(size):
    vectors = _unit(5000, dim=13)
    whole = mean_vector([vectors])
    assert (whole.dtype, whole.shape) == (np.float32, (13,))
    blocks = [vectors[start : start + size] for start in range(0, 5000, size)]
    assert mean_vector(blocks).tobytes() == whole.tobytes()
    shuffled = np.random.default_rng(1).permutation(vectors)
    assert mean_vector([np.asfortranarray(shuffled)]).tobytes() == whole.tobytes()


def test_the_mean_is_that_of_a_sum_without_rounding():
    vectors = _unit(301, dim=5)
    exact = [math.fsum(column) / 301 for column in vectors.T.tolist()]
    np.testing.assert_allclose(mean_vector([vectors]), exact, atol=1e-8)
    grid = 2**30
    naive = [
        Fraction(sum(round(Fraction(value) * grid) for value in column), 301 * grid)
        for column in vectors.T.tolist()
    ]
    assert mean_vector([vectors]).tolist() == [float(np.float32(float(each))) for each in naive]


def test_nothing_is_left_of_what_is_the_mean_but_for_rounding():
    vectors = _unit(3, dim=9)
    near = vectors.copy()
    near[1, 0] += 1e-6
    left = center_rows(near, vectors[1])
    assert left.dtype == np.float32
    assert not left[1].any()
    np.testing.assert_allclose(np.linalg.norm(left[[0, 2]], axis=1), 1, atol=1e-6)
