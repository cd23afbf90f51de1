import numpy as np

from xmir_cli.gallery.vectors import products, unit_rows


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
