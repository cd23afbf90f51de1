"""Rankings by similarity as counts: who is more similar to the query, and who equally so.

Nothing is asked of a ranking but which kinds of items follow each other in it and where some are
equally similar. So it is one sort of whole numbers, a similarity above and a kind below in each,
and the items themselves are never moved: four times as quick as sorting places by similarity.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from xmir_cli.arrays import Booleans, Floats, Integers

KIN, ITSELF = 1, 2  # how an item stands to its query, 0 where it counts in any case
_STANDINGS = 4  # for which a kind has room
_BITS = 61  # of a similarity and a kind; one is for the sign, one for a similarity a bit above 1


@dataclass(frozen=True)
class TieGroups:
    """The groups [G] of equally similar items that hold a relevant one, query after query [B].

    Those of a query are in the order of their ranks.
    """

    query: Integers  # [G] from 0
    better: Integers  # [G] items with a greater similarity
    found: Integers  # [G] relevant ones among them
    equal: Integers  # [G] items in the group, at least 1
    relevant: Integers  # [G] relevant ones among them, at least 1
    gain: Floats  # [G] the sum of their grades
    items: Integers  # [B] items in all
    grades: Floats  # [B, J] the grades there are, from the largest
    graded: Integers  # [B, J] relevant items of each

    @property
    def total(self) -> Integers:
        """R, the relevant items of each query [B]."""
        return np.asarray(self.graded.sum(axis=1))

    @cached_property
    def shared(self) -> Integers:
        """Which of the groups hold several items."""
        return np.flatnonzero(self.equal > 1)

    @cached_property
    def inverse_rank(self) -> Floats:
        """1 / k [G] of each group's first place k."""
        return np.asarray(1 / (self.better + 1))

    def sum(self, values: Floats | Integers) -> Floats:
        """The sum over each query's groups [B], from the best, of values [G]."""
        found = np.bincount(self.query, weights=values, minlength=len(self.items))
        return np.asarray(found, dtype=np.float64)  # of no groups they would be whole numbers

    def only(self, groups: Booleans) -> "TieGroups":
        """Some of the groups of the same queries, the first ones of each."""
        # of a single query they are not copied
        kept = slice(groups.sum()) if len(self.items) == 1 else np.flatnonzero(groups)
        names = ("query", "better", "found", "equal", "relevant", "gain")
        return replace(self, **{name: getattr(self, name)[kept] for name in names})

    @cached_property
    def several(self) -> "TieGroups":
        """The groups that hold several items."""
        names = ("query", "better", "found", "equal", "relevant", "gain")
        return replace(self, **{name: getattr(self, name)[self.shared] for name in names})

    def among(self, first: Integers | int) -> Integers:
        """How many places of each group are among the `first` of its ranking, whatever the order.

        `first` is one number, or one for each group [G].
        """
        return np.clip(first - self.better, 0, self.equal)


@dataclass(frozen=True)
class Ranking:
    """The kinds of items in the order of their similarity [B, N], and which of them are tied.

    Kinds are as `kinds_of` makes them. Runs of equally similar items are [start, stop) in the
    flattened order, from query to query.
    """

    kinds: np.ndarray
    starts: Integers
    stops: Integers

    def ties(self, grades: Floats, least: int) -> TieGroups:
        """The groups that hold a relevant item, of those items that count.

        Args:
            grades: Those that kinds stand for [B, 1 + J], 0 and then from the largest.
            least: The standing from which on items do not count: as if they were not there.
        """
        kinds, (height, width) = self.kinds.ravel(), self.kinds.shape
        uncounted = (kinds & (_STANDINGS - 1)) >= least
        places = np.flatnonzero((kinds >= _STANDINGS) & ~uncounted)  # of relevant items
        left_out = np.flatnonzero(uncounted)
        rows = np.arange(height + 1) * width
        firsts = np.searchsorted(places, rows)
        query = np.repeat(np.arange(height), np.diff(firsts))
        kept, start, stop = self._groups(places)
        relevant = np.diff(kept, append=len(places))
        if grades.shape[1] == 2:  # one grade
            gain, graded = grades[query[kept], 1] * relevant, np.diff(firsts)[:, None]
        else:
            each = query * grades.shape[1] + kinds[places] // _STANDINGS
            gain = np.add.reduceat(grades.ravel()[each], kept) if len(kept) else np.empty(0)
            graded = np.bincount(each, minlength=grades.size).reshape(grades.shape)[:, 1:]
        before = _count_below(left_out, start)
        equal = np.ones(len(kept), dtype=np.int64)
        runs = np.flatnonzero(stop - start > 1)
        equal[runs] = (stop - start - _count_below(left_out, stop) + before)[runs]
        missing = np.searchsorted(left_out, rows)  # in the queries before
        query = query[kept]
        return TieGroups(
            query,
            start - before - (rows - missing)[query],
            kept - firsts[query],
            equal,
            relevant,
            gain,
            width - np.diff(missing),
            grades[:, 1:],
            graded,
        )

    def _groups(self, places: Integers) -> tuple[Integers, Integers, Integers]:
        """Of places in order: the first of each group, where that begins, and where it ends."""
        first, last = np.searchsorted(places, self.starts), np.searchsorted(places, self.stops)
        runs = np.flatnonzero(last > first)
        starts, stops = places.copy(), places + 1
        starts[first[runs]], stops[first[runs]] = self.starts[runs], self.stops[runs]
        more = (last - first - 1)[runs]  # places in the run of another one
        if not more.any():
            return np.arange(len(places)), starts, stops
        nth = np.arange(more.sum()) - np.repeat(np.cumsum(more) - more, more)
        single = np.ones(len(places), dtype=bool)
        single[np.repeat(first[runs] + 1, more) + nth] = False
        kept = np.flatnonzero(single)
        return kept, starts[kept], stops[kept]


def kinds_of(grades: Integers) -> np.ndarray:
    """The kinds of counted items by the numbers of their grades, 0 of what is not relevant.

    Those of others are the same | KIN, and | ITSELF.
    """
    kinds = grades * _STANDINGS
    return kinds.astype(np.min_scalar_type(int(kinds.max(initial=0)) | _STANDINGS - 1))


def rank(similarities: Floats, kinds: np.ndarray, tolerance: float) -> Ranking:
    """Kinds by the similarity of their items [B, N]; neighbours within the tolerance are tied.

    Similarities are within [-1, 1], but for rounding. They are rounded to 2^-52 or finer where
    there are up to 127 grades.
    """
    bits = int(kinds.max(initial=0)).bit_length()
    scale = _BITS - bits
    numbers = np.multiply(similarities, -(2.0**scale)).astype(np.int64)
    np.left_shift(numbers, bits, out=numbers)
    np.bitwise_or(numbers, kinds, out=numbers, casting="unsafe")
    numbers.sort(axis=1)
    ordered = np.bitwise_and(numbers, (1 << bits) - 1).astype(kinds.dtype)
    gap = int(tolerance * 2.0**scale) + 1
    near = np.diff(numbers, axis=1) < (gap + 1) << bits  # or tied, for a kind is below
    places = np.flatnonzero(near)
    places += places // max(near.shape[1], 1)  # a query has one item more than neighbours
    first, second = (numbers.ravel()[each] >> bits for each in (places, places + 1))
    return Ranking(ordered, *_runs(places[second - first <= gap]))


def _runs(tied: Integers) -> tuple[Integers, Integers]:
    """Where runs start and end, by the places that are tied with the next one."""
    if not len(tied):
        return tied, tied
    apart = np.flatnonzero(np.diff(tied) > 1)
    return tied[np.append(0, apart + 1)], tied[np.append(apart, -1)] + 2


def _count_below(few: Integers, ordered: Integers) -> Integers:
    """How many of `few` are less than each of `ordered`; both are in order."""
    after = np.searchsorted(ordered, few, side="right")  # the first that is greater
    return np.repeat(np.arange(len(few) + 1), np.diff(after, prepend=0, append=len(ordered)))
