"""Rankings by similarity as counts: who is more similar to the query, and who equally so."""

from dataclasses import dataclass, replace

import numpy as np

from xmir_cli.arrays import Booleans, Floats, Integers


@dataclass(frozen=True)
class TieGroups:
    """The groups [G] of equally similar items that hold a relevant one, query after query [B].

    Those of a query are in the order of their ranks. `ideal` [B, N] are the grades of a query's
    items from the largest, 0 after the last.
    """

    query: Integers  # [G] from 0
    better: Integers  # [G] items with a greater similarity
    found: Integers  # [G] relevant ones among them
    equal: Integers  # [G] items in the group, at least 1
    relevant: Integers  # [G] relevant ones among them, at least 1
    gain: Floats  # [G] the sum of their grades
    items: Integers  # [B] items in all
    ideal: Floats

    @property
    def total(self) -> Integers:
        """R, the relevant items of each query [B]."""
        return self.sum(self.relevant).astype(np.int64)

    def sum(self, values: Floats | Integers) -> Floats:
        """The sum over each query's groups [B], from the best, of values [G]."""
        found = np.bincount(self.query, weights=values, minlength=len(self.items))
        return np.asarray(found, dtype=np.float64)  # of no groups they would be whole numbers

    def only(self, groups: Booleans) -> "TieGroups":
        """Some of the groups [G] of the same queries."""
        kept = np.flatnonzero(groups)
        names = ("query", "better", "found", "equal", "relevant", "gain")
        return replace(self, **{name: getattr(self, name)[kept] for name in names})

    def among(self, first: Integers | int) -> Integers:
        """How many places of each group are among the `first` of its ranking, whatever the order.

        `first` is one number, or one for each group [G].
        """
        return np.clip(first - self.better, 0, self.equal)


@dataclass(frozen=True)
class Ranking:
    """Items in the order of their similarity [B, N], and where groups of equal ones start."""

    order: Integers
    grades: Floats  # in that order
    starts: Integers  # in the flattened order, from query to query

    def ties(self, counted: Booleans) -> TieGroups:
        """The groups that hold a relevant item, of those items that count [B, N]."""
        counts = np.take_along_axis(counted, self.order, axis=1)
        grades = np.where(counts, self.grades, 0.0)
        ends = np.append(self.starts[1:], grades.size)
        items, relevant = _running_sum(counts), _running_sum(grades > 0)
        gain = np.add.reduceat(grades.ravel(), self.starts)
        holding = np.flatnonzero(gain)
        start, end = self.starts[holding], ends[holding]
        query = start // grades.shape[1]
        row = query * grades.shape[1]  # where the query's ranking starts
        return TieGroups(
            query,
            items[start] - items[row],
            relevant[start] - relevant[row],
            items[end] - items[start],
            relevant[end] - relevant[start],
            gain[holding],
            counts.sum(axis=1),
            np.sort(grades, axis=1)[:, ::-1],
        )


def rank(similarities: Floats, grades: Floats, tolerance: float) -> Ranking:
    """Items by similarity [B, N]; neighbours that differ by no more than the tolerance are tied."""
    order = np.argsort(-similarities, axis=1)
    ordered = np.take_along_axis(similarities, order, axis=1)
    apart = np.ones(ordered.shape, dtype=bool)
    apart[:, 1:] = ordered[:, :-1] - ordered[:, 1:] > tolerance
    return Ranking(order, np.take_along_axis(grades, order, axis=1), np.flatnonzero(apart))


def _running_sum(values: Booleans) -> Integers:
    """How many of the first n flattened values hold, for n from 0."""
    found = np.zeros(values.size + 1, dtype=np.int64)
    np.cumsum(values, out=found[1:])
    return found
