"""Candidates for the nearest items of many queries, of which ever fewer are let in."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from xmir_cli.arrays import Integers
from xmir_cli.gallery.vectors import Vectors

_LOWEST = float(np.finfo(np.float32).min)  # above -inf, which is what may not be found
_MANY = 1 << 23  # candidates that are held no longer than they must
_NOTHING: Integers = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Nearby:
    """Candidates [P]: of which query, which row, and their float32 similarity."""

    which: Integers
    rows: Integers
    similarities: Vectors


class Candidates:
    """All items that may be among the k nearest of each of some queries [B], as far as seen.

    An item is let go where k are nearer by more than `bound`, which float32 products may be off.
    Blocks may be chosen from by several threads; one adds what they found.
    """

    def __init__(
        self,
        queries: int,
        k: int,
        bound: float,
        settle: Callable[[Integers, Integers], Integers],
    ) -> None:
        """`settle` says which of candidates, in the order of the queries, are the k nearest."""
        self._k, self._bound, self._settle = k, bound, settle
        self._floors: Vectors = np.full(queries, _LOWEST, dtype=np.float32)
        self._found: list[Nearby] = []
        self._fresh, self._blocks = 0, 0  # candidates, and blocks, since the floors were raised
        self._patience = 1  # blocks until they are again

    def choose(self, similarities: Vectors, rows: Integers) -> Nearby:
        """Those of the items `rows` [H] that are no less near than the floors; [H, B]."""
        floors = self._floors
        low = np.flatnonzero(floors == _LOWEST)
        if len(low) and len(rows) > self._k:
            floors = floors.copy()
            floors[low] = self._lower(_nth(similarities[:, low], self._k))
        # one pass, however many there are: taking out the columns of some queries costs more
        places, which = np.divmod(np.flatnonzero(similarities >= floors), len(floors))
        return Nearby(which, rows[places], similarities[places, which])

    def add(self, found: Nearby) -> None:
        """Take what was chosen from a block."""
        self._found.append(found)
        self._fresh += len(found.rows)
        self._blocks += 1
        many = self._fresh > max(4 * self._k * len(self._floors), 1 << 16)
        if self._blocks >= self._patience or many:
            self._raise_floors()
            self._patience, self._blocks, self._fresh = 2 * self._patience, 0, 0

    def end(self) -> tuple[Integers, Integers]:
        """The candidates that are left, in the order of the queries: of which, and which row."""
        found = self._raise_floors()
        return found.which, found.rows

    def _raise_floors(self) -> Nearby:
        if not self._found:
            return Nearby(_NOTHING, _NOTHING, np.empty(0, dtype=np.float32))
        which, rows, similarities = (
            np.concatenate([getattr(found, name) for found in self._found])
            for name in ("which", "rows", "similarities")
        )
        order = np.lexsort((-similarities, which))
        which, rows, similarities = which[order], rows[order], similarities[order]
        firsts = np.searchsorted(which, np.arange(len(self._floors) + 1))
        enough = np.flatnonzero(np.diff(firsts) >= self._k)
        floors = self._floors.copy()
        kth = similarities[firsts[enough] + self._k - 1]
        floors[enough] = np.maximum(floors[enough], self._lower(kth))
        kept = np.flatnonzero(similarities >= floors[which])
        if len(kept) > _MANY:  # as near as float32 can tell
            kept = kept[self._settle(which[kept], rows[kept])]
        found = Nearby(which[kept], rows[kept], similarities[kept])
        self._floors, self._found = floors, [found]  # at once, for threads look
        return found

    def _lower(self, similarities: Vectors) -> Vectors:
        """Below these no item can be as near, whatever rounding did."""
        lowered = (similarities.astype(np.float64) - self._bound).astype(np.float32)
        return np.maximum(np.nextafter(lowered, np.float32(-np.inf)), np.float32(_LOWEST))


def _nth(similarities: Vectors, k: int) -> Vectors:
    """The k-th largest of each column."""
    return np.partition(np.ascontiguousarray(similarities.T), -k, axis=1)[:, -k]
