"""A gallery on a server, asked and read over the network; its keys are the numbers of items."""

import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xmir_cli import console
from xmir_cli.arrays import Integers, clip_cosines
from xmir_cli.errors import DataError
from xmir_cli.gallery.folder.exact import Neighbours
from xmir_cli.gallery.folder.nearest import is_for_graphs
from xmir_cli.gallery.protocol import (
    EVERYTHING,
    Chunk,
    Columns,
    Conditions,
    Gallery,
    Hits,
    ItemKey,
    SearchQuery,
    Store,
)
from xmir_cli.gallery.servers.about import About
from xmir_cli.gallery.servers.clauses import Clause, Clauses, full
from xmir_cli.gallery.servers.collection import Collection
from xmir_cli.gallery.servers.columns import Native
from xmir_cli.gallery.servers.nearest import Limit, find_by_graph, find_nearest
from xmir_cli.gallery.servers.reader import CollectionReader, places
from xmir_cli.gallery.vectors import Vectors
from xmir_cli.labels import LABEL, parse_labels
from xmir_cli.wire.model import ModelSpec

_FEW = 0.5  # of the items: where conditions leave fewer, a graph is not asked


@dataclass(frozen=True, eq=False)
class ServerGallery:
    """An opened collection."""

    name: str
    model: ModelSpec
    collection: Collection
    copy: Callable[["ServerGallery", Path], Gallery]  # of all of it, in a folder

    @property
    def about(self) -> About:
        """What the collection says of itself."""
        return self.collection.about

    @property
    def digest(self) -> str:
        """Names the items and their vectors."""
        return self.about.digest

    @property
    def dim(self) -> int:
        """The length D of the vectors."""
        return self.about.dim

    @property
    def column_names(self) -> Sequence[str]:
        """The columns of the items."""
        return [column.name for column in self.about.columns]

    @property
    def has_features(self) -> bool:
        """Feature maps are not kept on servers."""
        return False

    @property
    def store(self) -> Store:
        """Servers keep float32."""
        return "float32"

    @property
    def mean(self) -> Vectors:
        """As it was kept when the collection was loaded."""
        return self.about.mean

    def __len__(self) -> int:
        return self.about.rows

    def search(
        self,
        queries: Sequence[SearchQuery],
        k: int,
        conditions: Conditions = EVERYTHING,
        centered: bool = False,
    ) -> list[Hits]:
        """The k nearest items, each query by itself; centred ones are looked for in a copy."""
        if centered:
            return self._copy.search(queries, k, conditions, centered)
        shared = self._clauses.of_all(conditions)
        limit = None if conditions.at_most is None else self._limit(*conditions.at_most)
        near = partial(self._nearest, k, shared, limit)
        found = map(near, queries, self._clauses.of_each(conditions, queries))
        return [Hits(each.rows.tolist(), clip_cosines(each.similarities)) for each in found]

    def count(self, conditions: Conditions) -> int:
        """How many items are as the conditions say that know of no query."""
        return self.collection.count(self._clauses.of_all(conditions))

    def distinct(self, column: str) -> pa.Array:
        """The values of a column, each once."""
        found = self.about.by_name[column]
        return found.decode(self._reader.distinct(found))

    def by_id(self, ids: Sequence[str]) -> list[ItemKey | None]:
        """The item of each id."""
        return [rows[0] if rows else None for rows in self._reader.having("id", ids)]

    def by_path(self, paths: Sequence[str]) -> list[list[ItemKey]]:
        """The items of each path."""
        return [list(rows) for rows in self._reader.having("path", paths)]

    def by_identity(self, identities: Sequence[str]) -> list[list[ItemKey]]:
        """The items that are each image."""
        return [list(rows) for rows in self._clauses.images(identities)]

    def vectors_of(self, keys: Sequence[ItemKey]) -> Vectors:
        """The unit vectors [n, D] of items."""
        found = self._reader.read(_numbers(keys), [], vectors=True)
        return cast("Vectors", found.vectors)[places(found.rows, _numbers(keys))]

    def columns_of(self, keys: Sequence[ItemKey]) -> list[Columns]:
        """All that is known of items."""
        found = self._reader.read(_numbers(keys), self.about.columns, vectors=False)
        table = self._reader.table(found, self.about.columns, places(found.rows, _numbers(keys)))
        rows: list[Columns] = table.to_pylist()
        return rows

    def features_of(self, keys: Sequence[ItemKey]) -> NDArray[np.float16]:
        """Raises DataError."""
        raise DataError(f"{self.name}: feature maps of {len(keys)} items are not kept on a server")

    def iterate(self, size: int, names: Sequence[str] | None = None) -> Iterator[Chunk]:
        """All items, `size` at a time, read in requests that a server answers at once."""
        wanted = self.column_names if names is None else names
        return self._reader.chunks(size, [self.about.by_name[name] for name in wanted])

    def _nearest(
        self,
        k: int,
        shared: Sequence[Clause],
        limit: Limit | None,
        query: SearchQuery,
        own: Sequence[Clause],
    ) -> Neighbours:
        """The k nearest of one query, whose own clauses leave out what others may find."""
        vector, clauses = query.vector, [*shared, *own]
        settings = self.about.settings
        if settings is not None and limit is None and self._is_large(k, shared, own):
            found = find_by_graph(
                vector,
                k,
                settings.ef,
                lambda count: self.collection.nearest(vector, count, clauses, settings.ef),
            )
            if found is not None:
                return found
        return find_nearest(
            vector,
            k,
            limit,
            lambda count, kinds: self.collection.nearest(
                vector, count, [*clauses, *self._without(limit, kinds)], None
            ),
        )

    def _is_large(self, k: int, shared: Sequence[Clause], own: Sequence[Clause]) -> bool:
        """Whether so many items are there, and left, that a graph is faster and finds the nearest.

        How large is as in a folder, so that both ask the graph alike.
        """
        if not is_for_graphs(len(self), self.dim, k):
            return False
        left = self._reader.count(tuple(shared)) if shared else len(self)
        for clause in own:
            left -= self._reader.count((Clause(clause.stored, clause.values, clause.nothing),))
        return left >= _FEW * len(self)

    def _without(self, limit: Limit | None, kinds: Sequence[object]) -> list[Clause]:
        if limit is None or not kinds:
            return []
        return [full(self.about.by_name[limit.column], cast("Sequence[Native]", kinds))]

    def _limit(self, name: str, count: int) -> Limit:
        """At most so many of each value of a column, or of each label."""
        column = self.about.by_name[name]

        def kinds_of(rows: Integers) -> list[frozenset[object]]:
            found = self._reader.read(rows.tolist(), [column], vectors=False)
            values = found.values[column.stored]
            return [_kinds(name, values[place]) for place in places(found.rows, rows.tolist())]

        return Limit(name, count, kinds_of, pushed=name != LABEL)

    @cached_property
    def _reader(self) -> CollectionReader:
        return CollectionReader(self.name, self.collection)

    @cached_property
    def _clauses(self) -> Clauses:
        return Clauses(self.about.by_name, self._reader.distinct, self._reader.rows_with)

    @cached_property
    def _copy(self) -> Gallery:
        """All of it in a folder of this machine, for as long as this is held."""
        console.note(f"{self.name}: a server keeps no centred vectors; all {len(self)} are read")
        place = tempfile.mkdtemp(prefix="xmir-")
        weakref.finalize(self, shutil.rmtree, place, ignore_errors=True)
        return self.copy(self, Path(place))


def _kinds(column: str, value: Native | None) -> frozenset[object]:
    if column == LABEL:
        return frozenset(parse_labels(value))
    return frozenset() if value is None or value == "" else frozenset([value])


def _numbers(keys: Sequence[ItemKey]) -> list[int]:
    return [cast("int", key) for key in keys]
