"""The nearest items of a collection: a server finds candidates, float64 decides among them.

A server compares in float32 and says how similar the last candidate is. Whatever it did not hand
out is no nearer, but for rounding. So once the k-th is nearer than that by more than rounding, or
the server had no more, nothing was missed; until then more candidates are asked for.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from xmir_cli.arrays import Floats, Integers
from xmir_cli.gallery.folder.exact import Neighbours, error_bound
from xmir_cli.gallery.servers.collection import Near
from xmir_cli.gallery.vectors import Vectors, products

_MORE = 16  # candidates than are wanted, for those that are equally near
_DEEPER = 4  # times as many candidates where that was not enough

Ask = Callable[[int, Sequence[object]], Near]  # so many candidates, none of these kinds


@dataclass(frozen=True)
class Limit:
    """At most so many of each kind in a column; `kinds_of` says of which kinds rows are."""

    column: str
    count: int
    kinds_of: Callable[[Integers], Sequence[frozenset[object]]]
    pushed: bool  # whether the server can leave kinds out


class Shortlist:
    """The candidates of a query [D] so far, and which of them are settled."""

    def __init__(self, query: Vectors, limit: Limit | None = None) -> None:
        self._query, self._limit = query, limit
        self._bound = error_bound(len(query))
        self._similarities: dict[int, float] = {}
        self._kinds: dict[int, frozenset[object]] = {}
        self._below = np.inf  # what is more similar than this is known

    def add(self, near: Near) -> None:
        """Take candidates in."""
        found = products(near.vectors, self._query).tolist()
        self._similarities |= dict(zip(near.rows.tolist(), found, strict=True))
        self._below = near.farthest + self._bound
        if self._limit is not None:
            new = np.array([row for row in self._similarities if row not in self._kinds], np.int64)
            kinds = self._limit.kinds_of(new) if len(new) else []
            self._kinds |= dict(zip(new.tolist(), kinds, strict=True))

    def best(self) -> Neighbours:
        """All that may be found, best first; ties in the order of the items."""
        order = sorted(self._similarities, key=lambda row: (-self._similarities[row], row))
        if self._limit is not None:
            order = self._thin(order, self._limit.count)
        similarities = np.array([self._similarities[row] for row in order], dtype=np.float64)
        return Neighbours(np.array(order, dtype=np.int64), similarities)

    def is_settled(self, best: Neighbours, k: int) -> bool:
        """Whether no item that is not here can be among the k nearest."""
        exhausted = self._below == -np.inf
        return exhausted or (len(best.rows) >= k and best.similarities[k - 1] > self._below)

    def full(self, best: Neighbours) -> set[object]:
        """The kinds of which as many as may be are here, and no nearer ones elsewhere."""
        if self._limit is None or not self._limit.pushed:
            return set()
        counts: Counter[object] = Counter()
        for row, similarity in zip(best.rows.tolist(), best.similarities.tolist(), strict=True):
            if similarity > self._below:
                counts.update(self._kinds[row])
        return {kind for kind, count in counts.items() if count >= self._limit.count}

    def _thin(self, order: Sequence[int], most: int) -> list[int]:
        counts: Counter[object] = Counter()
        kept = []
        for row in order:
            if all(counts[kind] < most for kind in self._kinds[row]):
                counts.update(self._kinds[row])
                kept.append(row)
        return kept


def find_nearest(query: Vectors, k: int, limit: Limit | None, ask: Ask) -> Neighbours:
    """The k nearest to a query [D], fewer only where there are no more.

    Where a `limit` leaves too few, the kinds that are full are left out by the server; else it is
    asked for more.
    """
    pool, depth, left_out = Shortlist(query, limit), k + _MORE, set[object]()
    while True:
        pool.add(ask(depth, sorted(left_out, key=repr)))
        best = pool.best()
        if pool.is_settled(best, k):
            return Neighbours(best.rows[:k], best.similarities[:k])
        full = pool.full(best) - left_out
        left_out |= full
        depth *= 1 if full else _DEEPER


def find_by_graph(query: Vectors, k: int, ef: int, ask: Callable[[int], Near]) -> Neighbours | None:
    """The k nearest that a graph finds; None where it may not tell, and all are to be asked.

    So where fewer were found, where those left out may be as near as the k-th, and where some are
    equally near, which links of a graph do not tell apart.
    """
    pool = Shortlist(query)
    pool.add(ask(max(ef, 2 * k, k + _MORE)))
    best = pool.best()
    near = best.similarities[: k + 1]
    if len(near) <= k or not pool.is_settled(best, k) or _has_ties(near):
        return None
    return Neighbours(best.rows[:k], near[:k])


def _has_ties(similarities: Floats) -> bool:
    return bool((similarities[:-1] == similarities[1:]).any())
