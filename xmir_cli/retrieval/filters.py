"""Which items a query may find, and how many of a kind."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xmir_cli.errors import UsageError
from xmir_cli.gallery.folder.engine import Gallery
from xmir_cli.gallery.folder.exact import Hits, Scope
from xmir_cli.gallery.folder.items import Items
from xmir_cli.gallery.vectors import Booleans, Integers, Vectors
from xmir_cli.retrieval.queries import Asked, rows_with

SELF = ("id", "path", "sha256")  # an item that shares one of these with the query is the query


@dataclass(frozen=True)
class Filters:
    """Items that may be found [N] (None: all), without those like the query in some columns."""

    items: Items | pa.Table
    allowed: Booleans | None
    unlike: Sequence[str]

    def scope(self, asked: Sequence[Asked]) -> Scope:
        """The scope of a search for these queries.

        Items with a query's value in any of the columns are excluded; no value is never the same.
        """
        found = [self._sharing(column, asked) for column in self.unlike]
        nothing = [np.empty(0, dtype=np.int64)] * len(asked)
        excluded = [np.unique(np.concatenate(rows)) for rows in zip(nothing, *found, strict=True)]
        return Scope(self.allowed, excluded)

    def _sharing(self, column: str, asked: Sequence[Asked]) -> list[Integers]:
        """For each query the items with its value in the column, all in one pass over them."""
        own = [query.columns.get(column) for query in asked]
        values = list(dict.fromkeys(str(value) for value in own if value is not None))
        texts = pc.fill_null(pc.cast(self.items[column], pa.string()), "")
        which = pc.index_in(texts, value_set=pa.array(values, pa.string()))
        rows = pc.indices_nonzero(pc.is_valid(which)).to_numpy().astype(np.int64)
        kinds = pc.drop_null(which).to_numpy()
        order = np.argsort(kinds, kind="stable")
        ends = np.searchsorted(kinds[order], np.arange(len(values)), side="right")
        groups = dict(zip(values, np.split(rows[order], ends), strict=False))
        nothing = np.empty(0, dtype=np.int64)
        return [nothing if value is None else groups[str(value)] for value in own]


@dataclass(frozen=True)
class Most:
    """At most `limit` hits of each kind: kinds [N] by number, -1 where an item is of none."""

    kinds: Integers
    limit: int

    def thin(self, hits: Hits, k: int) -> Hits:
        """The first k hits that are not one too many of their kind."""
        counts: Counter[int] = Counter()
        kept = []
        for place, kind in enumerate(self.kinds[hits.indices].tolist()):
            counts[kind] += 1
            if kind < 0 or counts[kind] <= self.limit:
                kept.append(place)
        return Hits(hits.indices[kept[:k]], hits.similarities[kept[:k]])


def nearest(
    gallery: Gallery, queries: Vectors, k: int, scope: Scope, most: Most | None
) -> list[Hits]:
    """The k nearest items of each query [B, D] in the scope, at most so many of each kind."""
    depth = k
    while True:
        found = gallery.search(queries, depth, scope)
        if most is None:
            return found
        thinned = [most.thin(hits, k) for hits in found]
        short = [len(hits.indices) < k for hits in thinned]
        more = [len(hits.indices) == depth for hits in found]
        if not any(a and b for a, b in zip(short, more, strict=True)):
            return thinned
        depth *= 4


def most_of(items: Items | pa.Table, per: str | None) -> Most | None:
    """`patient=1` as at most one hit of each patient; raises UsageError for anything else."""
    if per is None:
        return None
    column, _, limit = per.rpartition("=")
    if not column or not limit.isdecimal() or int(limit) < 1:
        raise UsageError(f"--per {per}: expected COLUMN=COUNT", "For example --per patient=1.")
    check_column(items, column)
    texts = pc.cast(items[column], pa.string()).combine_chunks()
    kinds = pc.fill_null(texts.dictionary_encode().indices, -1).to_numpy()
    return Most(kinds.astype(np.int64), int(limit))


def filters(
    items: Items | pa.Table,
    where: Sequence[tuple[str, str]],
    exclude_same: str | None,
    no_self: bool,
    without: Sequence[Asked] = (),
) -> Filters:
    """The filters of the flags, the items of `without` never to be found by anything.

    Raises UsageError for a column that the items do not have.
    """
    for column in [*(column for column, _ in where), *([exclude_same] if exclude_same else [])]:
        check_column(items, column)
    allowed = np.ones(len(items), dtype=bool)
    for column, value in where:
        only = np.zeros(len(items), dtype=bool)
        only[rows_with(items, column, value)] = True
        allowed &= only
    for column in SELF:
        for query in without:
            allowed[rows_with(items, column, query.columns.get(column) or "")] = False
    own = SELF if no_self or exclude_same else ()
    unlike = [*own, *([exclude_same] if exclude_same else [])]
    return Filters(items, None if allowed.all() else allowed, unlike)


def check_column(items: Items | pa.Table, column: str) -> None:
    """Raise UsageError, naming the columns there are, when it is none of them."""
    if column not in items.column_names:
        raise UsageError(f"no column {column!r}; there are {', '.join(items.column_names)}")
