"""Conditions as rows of an index folder: which may be found, and how many of a kind."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from xmir_cli.arrays import Booleans, Integers
from xmir_cli.gallery.folder.exact import Neighbours
from xmir_cli.gallery.folder.images import Images
from xmir_cli.gallery.folder.items import Items
from xmir_cli.gallery.protocol import Conditions, SearchQuery
from xmir_cli.gallery.texts import (
    labels_of,
    lacks_labels,
    numbers_of,
)
from xmir_cli.labels import LABEL
from xmir_cli.store.where import holds

_NOTHING: Integers = np.empty(0, dtype=np.int64)
_FEW = 32  # rows of which a set is made sooner than an array


@dataclass(frozen=True)
class Most:
    """At most `limit` rows of each kind: kinds [N] by number, -1 where a row is of none.

    Where `labels` are given, those of each kind, at most as many of each label.
    """

    kinds: Integers
    limit: int
    labels: Sequence[frozenset[str]] | None = None

    def nearest(
        self, search: Callable[[Sequence[int], int], list[Neighbours]], asked: Sequence[int], k: int
    ) -> list[Neighbours]:
        """The first k of each query; `search` finds as many as it is told for those it is told.

        It goes deeper for a query as long as that one needs it, whatever the others need.
        """
        kept: dict[int, Neighbours] = {}
        left, depth = list(asked), k
        while left:
            found = dict(zip(left, search(left, depth), strict=True))
            kept |= {query: self.thin(near, k) for query, near in found.items()}
            left = [q for q in left if len(kept[q].rows) < k and len(found[q].rows) == depth]
            depth *= 4
        return [kept[query] for query in asked]

    def thin(self, near: Neighbours, k: int) -> Neighbours:
        """The first k rows that are not one too many of their kind."""
        counts: Counter[int | str] = Counter()
        kept = []
        for place, kind in enumerate(self.kinds[near.rows].tolist()):
            own = () if kind < 0 else (kind,) if self.labels is None else self.labels[kind]
            if all(counts[each] < self.limit for each in own):
                counts.update(own)
                kept.append(place)
        return Neighbours(near.rows[kept[:k]], near.similarities[kept[:k]])


@dataclass(frozen=True)
class Selection:
    """What is the same for all queries: the rows that may be found [N] (None: all)."""

    allowed: Booleans | None
    most: Most | None


def select(items: Items, conditions: Conditions) -> Selection:
    """The conditions that know of no query, over the items [N]."""
    allowed = np.ones(len(items), dtype=bool)
    for condition in conditions.where:
        allowed &= holds(items[condition.column], condition)
    if conditions.other_labels:
        allowed &= lacks_labels(items[LABEL], conditions.other_labels)
    allowed[rows_of(list(conditions.without))] = False
    most = None
    if conditions.at_most is not None:
        column, limit = conditions.at_most
        numbers = numbers_of(items[column])
        most = Most(numbers, limit, labels_of(items[column]) if column == LABEL else None)
    return Selection(None if allowed.all() else allowed, most)


def exclude(
    images: Images, conditions: Conditions, queries: Sequence[SearchQuery]
) -> list[Integers]:
    """For each query the rows that it may not find, whatever others may, in order.

    What may not find the same many rows has the same array.
    """
    named = [*(("id", "path") if conditions.not_itself else ()), *conditions.not_same]
    found = [
        images.rows_with(name, [query.columns.get(name) for query in queries])
        for name in dict.fromkeys(named)
    ]
    if conditions.not_itself:
        found.append(images.rows_of([query.identity for query in queries]))
    return (
        [_unite(rows) for rows in zip(*found, strict=True)] if found else [_NOTHING] * len(queries)
    )


def _unite(parts: Sequence[Integers]) -> Integers:
    """The rows of several arrays in order, each once; of one that has all of them, it itself."""
    largest = max(parts, key=len)
    if len(largest) < _FEW:
        together = set(chain.from_iterable(rows.tolist() for rows in parts))
        return largest if len(together) == len(largest) else np.array(sorted(together), np.int64)
    others = [rows for rows in parts if rows is not largest and len(rows)]
    rest = np.concatenate([_NOTHING, *others])
    places = np.minimum(np.searchsorted(largest, rest), len(largest) - 1)
    new = rest[largest[places] != rest] if len(largest) else rest
    return np.union1d(largest, new) if len(new) else largest


def rows_of(keys: Sequence[object]) -> Integers:
    """The rows of an index folder's keys, which are just that."""
    return np.array(keys, dtype=np.int64)
