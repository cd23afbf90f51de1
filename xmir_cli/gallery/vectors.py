"""Unit vectors, whoever searches them: which rows can be used, and how similar two are."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from xmir_cli.arrays import NOTHING_LEFT, Booleans, Floats

Vectors = NDArray[np.float32]

_GRID = 2.0**30  # of whose parts the sums of a mean are made
_ROWS = 128  # of a sum, which stay in the cache; up to 2^23 of them it is exact in float64
_ROUNDING = 1e-6  # how far a float32 vector that was divided by its length may be from length 1


def unit_rows(vectors: NDArray[np.floating]) -> tuple[Vectors, Booleans]:
    """Rows [N, D] of length 1, and which of them can be used [N]: finite and not zero.

    Rows whose length is 1 as far as float32 tells stay as they are, bit for bit.
    """
    rows = np.ascontiguousarray(vectors, dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows, dtype=np.float64))
        usable = np.isfinite(lengths) & (lengths >= 1e-12)
        off = usable & (np.abs(lengths - 1) > _ROUNDING)
        if off.any():
            rows = rows.copy()
            rows[off] = rows[off] / lengths[off, None]
    return rows, usable


def products(vectors: Vectors, query: Vectors | Floats) -> Floats:
    """Float64 dot products [n] of vectors [n, D] with `query` [D]; equal rows give equal ones."""
    # a sum along rows gives equal rows equal sums, which a matrix product does not
    return np.asarray((vectors * query.astype(np.float64)).sum(axis=1))


def mean_vector(blocks: Iterable[Vectors]) -> Vectors:
    """The mean [D] of the rows of blocks [n, D]; one row or more, whose numbers are within +-1.

    Each number is rounded to a multiple of 2^-30, and the multiples are added as whole numbers. So
    the sum is exact: neither the sizes of the blocks nor the order of the rows change a bit of it.
    """
    total, count = np.zeros(1, dtype=np.int64), 0
    for block in blocks:
        for start in range(0, len(block), _ROWS):
            rows = np.rint(block[start : start + _ROWS] * _GRID, dtype=np.float64)
            total = total + rows.sum(axis=0).astype(np.int64)
            count += len(rows)
    return np.asarray(total / (count * _GRID), dtype=np.float32)


def center_rows(vectors: Vectors, mean: Vectors) -> Vectors:
    """Unit vectors [n, D] less a mean [D], at length 1 again; zero where nothing is left."""
    left = vectors.astype(np.float64) - mean
    lengths = np.sqrt(np.einsum("nd,nd->n", left, left))[:, None]
    return np.where(lengths > NOTHING_LEFT, left / np.maximum(lengths, NOTHING_LEFT), 0).astype(
        np.float32
    )
