"""Exact search: blocked float32 products find the candidates, float64 decides among them.

A thread takes a few blocks of the gallery at a time, for all queries. What is not nearer than the
k-th so far, whatever rounding did, is never looked at again; so all blocks but the first few cost
their product and two passes over it, and few turns of Python's lock.
"""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import chain, pairwise

import numpy as np

from xmir_cli.arrays import Booleans, Floats, Integers
from xmir_cli.gallery.folder.candidates import Candidates, Nearby
from xmir_cli.gallery.folder.rows import Rows
from xmir_cli.gallery.vectors import Vectors
from xmir_cli.threads import count_threads, threads

_SIMILARITIES = 1 << 19  # of a block, 2 MB: they stay in a processor's cache
_LARGER = 2  # times as many where several threads work
_HEIGHTS = (512, 1 << 16)  # gallery rows of a block, at least and at most
_ROWS = 4096  # rows widened to float64 at a time
_HELD = 1 << 22  # candidates of queries that are looked for at a time
_STRETCH = 8  # blocks that a thread takes at a time where few of each are candidates
_FEW = 64  # the nearest that are asked for, times the blocks of a stretch
_CLASS = 64  # the part of a gallery from which on what a query may not find is one of few classes


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
        vectors: The gallery's unit vectors [N, D]; a memory map is read through, in blocks, once
            for each class of items that some queries may not find.
        queries: Unit vectors [B, D].
        k: How many, at least 1.
        scope: What may be found.

    Returns:
        B results; similarities are float64 dot products, ties fall in gallery order.
    """
    found: dict[int, Neighbours] = {}
    most = max(1, _HELD // min(k, len(vectors)))
    for part in _parts(scope, len(vectors), most):
        which, rows = _find(vectors, queries[part.queries], k, part)
        ranked = rank_each(vectors, queries[part.queries], which, rows, k)
        found |= dict(zip(part.queries, ranked, strict=True))
    return [found[query] for query in range(len(queries))]


def rank_each(
    vectors: Rows, queries: Vectors, which: Integers, rows: Integers, k: int
) -> list[Neighbours]:
    """The k nearest of each query [B, D] among candidates, compared in float64.

    Candidates [P] are in the order of the queries: which of them, and which row.
    """
    order, similarities = _order(vectors, queries, which, rows, k)
    rows, similarities = rows[order], similarities[order]
    ends = np.searchsorted(which[order], np.arange(len(queries) + 1)).tolist()
    return [
        Neighbours(rows[first:last], similarities[first:last]) for first, last in pairwise(ends)
    ]


def _order(
    vectors: Rows, queries: Vectors, which: Integers, rows: Integers, k: int
) -> tuple[Integers, Floats]:
    """The places of the k nearest of each query, best first; and the similarities of all [P]."""
    similarities = np.empty(len(rows))
    wide = queries.astype(np.float64)
    for start in range(0, len(rows), _ROWS):
        part = slice(start, start + _ROWS)
        # the sum of `products`, bit for bit
        similarities[part] = (vectors[rows[part]] * wide[which[part]]).sum(axis=1)
    order = np.lexsort((rows, -similarities, which))
    firsts = np.searchsorted(which, np.arange(len(queries)))
    return order[np.arange(len(order)) - firsts[which] < k], similarities


def error_bound(dim: int) -> float:
    """How far apart two float32 products of unit vectors [D] may be that should be equal."""
    # twice the bound of a product's error; float16 leaves vectors up to 1.0005 long
    return 1.01 * dim * float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class _Part:
    """Queries that may find the same rows (None: all) but for a few pairs.

    The pairs are in the order of their rows: which of the queries, and which row.
    """

    queries: Sequence[int]
    rows: Integers | None
    pairs: tuple[Integers, Integers]


def _parts(scope: Scope, count: int, most: int) -> Iterator[_Part]:
    """The queries in parts, at most so many at a time; `count` is how many rows there are."""
    kinds: dict[int | None, list[int]] = {}
    for query, excluded in enumerate(scope.excluded):
        # of a class that many may not find there is one array, however many those are
        large = len(excluded) * _CLASS > count
        kinds.setdefault(id(excluded) if large else None, []).append(query)
    for kind, queries in kinds.items():
        allowed = scope.allowed
        if kind is not None:
            allowed = np.ones(count, dtype=bool) if allowed is None else allowed.copy()
            allowed[scope.excluded[queries[0]]] = False
        rows = None if allowed is None else np.flatnonzero(allowed)
        for start in range(0, len(queries), most):
            part = queries[start : start + most]
            yield _Part(part, rows, _pairs(scope, part if kind is None else []))


def _pairs(scope: Scope, queries: Sequence[int]) -> tuple[Integers, Integers]:
    excluded = [scope.excluded[query] for query in queries]
    which = np.repeat(np.arange(len(queries)), [len(rows) for rows in excluded])
    rows = np.concatenate([np.empty(0, dtype=np.int64), *excluded])
    order = np.argsort(rows, kind="stable")
    return which[order], rows[order]


def _find(vectors: Rows, queries: Vectors, k: int, part: _Part) -> tuple[Integers, Integers]:
    """Candidates for the k nearest of each query, in the order of the queries."""
    count = len(vectors) if part.rows is None else len(part.rows)
    held = Candidates(
        len(queries),
        k,
        error_bound(vectors.shape[1]),
        lambda which, rows: _order(vectors, queries, which, rows, k)[0],
    )
    look = partial(_look, vectors, queries, part, held)
    # a small block comes first: what others have to be nearer than is known from then on
    edges = sorted({0, *range(_HEIGHTS[0], count, _height(vectors, count, len(queries))), count})
    blocks = list(pairwise(edges))
    size = max(1, min(_STRETCH, _FEW // k, len(blocks) // (4 * count_threads())))
    stretches = [blocks[first : first + size] for first in range(1, len(blocks), size)]
    with threads() if len(stretches) > 1 else nullcontext(map) as spread:
        for found in chain(map(look, [blocks[:1]]), spread(look, stretches)):
            for each in found:
                held.add(each)
    return held.end()


def _height(vectors: Rows, count: int, queries: int) -> int:
    """How many of `count` rows are a block."""
    least, most = _HEIGHTS
    if not isinstance(vectors, np.ndarray):  # what is made of them is held, not mapped
        most = _ROWS
    working = count_threads()
    # threads wait for Python's lock between two products: the more of them, the larger a product
    similarities = _SIMILARITIES * min(_LARGER, max(1, working // 4))
    return max(least, min(similarities // queries, most, -(-count // working)))


def _look(
    vectors: Rows,
    queries: Vectors,
    part: _Part,
    held: Candidates,
    blocks: Sequence[tuple[int, int]],
) -> list[Nearby]:
    """What of each of some blocks of the gallery may be among the nearest."""
    return [_choose(vectors, queries, part, held, *block) for block in blocks]


def _choose(  # noqa: PLR0913 # all but the last two are the same for all blocks
    vectors: Rows, queries: Vectors, part: _Part, held: Candidates, start: int, stop: int
) -> Nearby:
    if part.rows is None:
        rows = np.arange(start, stop)
        block = vectors[start:stop]
    else:
        rows = part.rows[start:stop]
        block = vectors[rows]
    similarities = np.asarray(block, dtype=np.float32) @ queries.T
    which, excluded = part.pairs
    first, last = np.searchsorted(excluded, [rows[0], rows[-1] + 1])
    if first < last:
        own = np.searchsorted(rows, excluded[first:last])
        there = rows[own] == excluded[first:last]
        similarities[own[there], which[first:last][there]] = -np.inf
    return held.choose(similarities, rows)
