"""Exact search: a blocked float32 product finds the candidates, float64 decides among them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from xmir_cli.arrays import Booleans, Floats, Integers
from xmir_cli.gallery.vectors import Vectors, center_rows, products

_SIMILARITIES = 1 << 23  # held at a time, 32 MB
_RUN = 64  # neighbouring similarities of which the largest is looked at first
_ROWS = 4096  # gallery rows widened to float64 at a time
_LOWEST = float(np.finfo(np.float32).min)


class Rows(Protocol):
    """The vectors [N, D] of a gallery, of which any can be read."""

    @property
    def shape(self) -> tuple[int, ...]:
        """N and D."""

    def __len__(self) -> int:
        """N."""

    def __getitem__(self, rows: slice | Integers) -> Vectors:
        """Those rows [n, D]."""


@dataclass(frozen=True)
class CenteredRows:
    """The same without a mean [D], made as they are read; see `center_rows`."""

    vectors: Vectors
    mean: Vectors

    @property
    def shape(self) -> tuple[int, ...]:
        """N and D."""
        return self.vectors.shape

    def __len__(self) -> int:
        return len(self.vectors)

    def __getitem__(self, rows: slice | Integers) -> Vectors:
        return center_rows(self.vectors[rows], self.mean)


@dataclass(frozen=True)
class Neighbours:
    """The nearest rows of one query, best first, and their similarities."""

    rows: Integers
    similarities: Floats


@dataclass(frozen=True)
class Scope:
    """Which items may be found: those allowed [N] (None: all) but, per query [B], the excluded."""

    allowed: Booleans | None
    excluded: Sequence[Integers]

    def of(self, queries: Sequence[int]) -> "Scope":
        """The scope of some of the queries."""
        return Scope(self.allowed, [self.excluded[query] for query in queries])


def search(vectors: Rows, queries: Vectors, k: int, scope: Scope) -> list[Neighbours]:
    """The k nearest items of each query, fewer where fewer may be found.

    Args:
        vectors: The gallery's unit vectors [N, D]; a memory map is read through once, in blocks.
        queries: Unit vectors [B, D], few enough for B times a block of the gallery.
        k: How many, at least 1.
        scope: What may be found.

    Returns:
        B results; similarities are float64 dot products, ties fall in gallery order.
    """
    found = [np.empty(0, dtype=np.int64)] * len(queries)
    seen = [np.empty(0, dtype=np.float32)] * len(queries)
    dim = vectors.shape[1]
    for start, similarities in _blocks(vectors, queries, scope):
        for query, row in enumerate(similarities):
            lowest = max(_floor(seen[query], k, dim), _floor(_peaks(row, k), k, dim))
            fresh = np.flatnonzero(row >= lowest)
            indices = np.concatenate([found[query], fresh + start])
            near = np.concatenate([seen[query], row[fresh]])
            kept = near >= _floor(near, k, dim)
            found[query], seen[query] = indices[kept], near[kept]
    return [rank(vectors, query, near, k) for query, near in zip(queries, found, strict=True)]


def rank(vectors: Rows, query: Vectors, indices: Integers, k: int) -> Neighbours:
    """The k nearest to `query` [D] among the items `indices`, compared in float64."""
    similarities = _similarities(vectors, query, indices)
    order = np.lexsort((indices, -similarities))[:k]
    return Neighbours(indices[order], similarities[order])


def rank_each(vectors: Vectors, queries: Vectors, indices: Integers, k: int) -> list[Neighbours]:
    """The same, bit for bit, for each of the queries [B, D] among items of its own [B, m]."""
    together, found = _ROWS // indices.shape[1], []
    if not together:
        return [rank(vectors, query, near, k) for query, near in zip(queries, indices, strict=True)]
    for start in range(0, len(queries), together):
        near = indices[start : start + together]
        wide = queries[start : start + together, None].astype(np.float64)
        similarities = (vectors[near] * wide).sum(axis=2)
        order = np.lexsort((near, -similarities))[:, :k]
        for row, best in enumerate(order):
            found.append(Neighbours(near[row, best], similarities[row, best]))
    return found


def _similarities(vectors: Rows, query: Vectors, indices: Integers) -> Floats:
    """The products of `query` [D] with the items `indices`."""
    parts = [
        products(vectors[indices[start : start + _ROWS]], query)
        for start in range(0, len(indices), _ROWS)
    ]
    return np.concatenate(parts) if parts else np.empty(0)


def _floor(similarities: Vectors, k: int, dim: int) -> float:
    """Below this no item can be among the k nearest, whatever float32 rounding did."""
    if len(similarities) < k:
        return _LOWEST
    kth = np.partition(similarities, -k)[-k]
    return float(kth) - error_bound(dim)


def error_bound(dim: int) -> float:
    """How far apart two float32 products of unit vectors [D] may be that should be equal."""
    return dim * float(np.finfo(np.float32).eps)  # twice the bound of a product's error


def _peaks(similarities: Vectors, k: int) -> Vectors:
    """The largest of each run of neighbours; the k-th largest of them is no nearer than the k-th.

    It is found in one quick pass, and far more than k are not kept by it.
    """
    run = min(_RUN, len(similarities) // (8 * k))
    if run < 2:
        return similarities
    runs = similarities[: len(similarities) // run * run].reshape(-1, run)
    return np.asarray(runs.max(axis=1))


def _blocks(vectors: Rows, queries: Vectors, scope: Scope) -> Iterator[tuple[int, Vectors]]:
    """Where each block of the gallery starts, with its similarities [B, H]; -inf: out of scope."""
    height = max(1, _SIMILARITIES // len(queries))
    if isinstance(vectors, CenteredRows):  # which are held, not mapped
        height = min(height, _ROWS)
    for start in range(0, len(vectors), height):
        stop = min(start + height, len(vectors))
        similarities = queries @ vectors[start:stop].T
        if scope.allowed is not None:
            similarities[:, ~scope.allowed[start:stop]] = -np.inf
        for row, excluded in zip(similarities, scope.excluded, strict=True):
            row[excluded[(excluded >= start) & (excluded < stop)] - start] = -np.inf
        yield start, similarities
