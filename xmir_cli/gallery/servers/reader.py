"""Items of a collection, read by their numbers or by what stands in a column."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import pyarrow as pa

from xmir_cli.arrays import Integers
from xmir_cli.errors import DataError
from xmir_cli.gallery.protocol import Chunk
from xmir_cli.gallery.servers.about import AGAIN, About
from xmir_cli.gallery.servers.clauses import Clause
from xmir_cli.gallery.servers.collection import Batch, Collection
from xmir_cli.gallery.servers.columns import ROW, KeptColumn, Native
from xmir_cli.gallery.vectors import Vectors
from xmir_cli.store.kept_vectors import gather_vectors

_NUMBERS = 1 << 20  # of vectors, read in one request; 4 MB


@dataclass(frozen=True, eq=False)
class CollectionReader:
    """What was read is checked to be there, and to be what was put in."""

    name: str
    collection: Collection
    _kept: dict[object, object] = field(default_factory=dict)  # answers that are asked for again

    @property
    def about(self) -> About:
        """What the collection says of itself."""
        return self.collection.about

    def chunks(self, size: int, columns: Sequence[KeptColumn]) -> Iterator[Chunk]:
        """All items in their order, `size` at a time."""
        rows, dim = self.about.rows, self.about.dim
        step = max(1, _NUMBERS // dim)
        for start in range(0, rows, size):
            chunk = range(start, min(start + size, rows))
            tables: list[pa.Table] = []
            parts = [
                range(first, min(first + step, chunk.stop))
                for first in range(chunk.start, chunk.stop, step)
            ]
            vectors = gather_vectors(self._read_parts(parts, columns, tables), len(chunk), dim)
            yield Chunk(chunk, vectors, pa.concat_tables(tables))

    def _read_parts(
        self, parts: Sequence[range], columns: Sequence[KeptColumn], tables: list[pa.Table]
    ) -> Iterator[Vectors]:
        """The vectors of each part in their order; what stands in its columns goes to `tables`."""
        for part in parts:
            found = self.read(part, columns, vectors=True)
            order = np.argsort(found.rows)
            tables.append(self.table(found, columns, order))
            yield cast("Vectors", found.vectors)[order]

    def read(self, rows: Sequence[int], columns: Sequence[KeptColumn], vectors: bool) -> Batch:
        """Items by their numbers, each once, in whatever order; DataError where one is missing."""
        stored = [column.stored for column in columns]
        if not rows:
            nothing = np.empty((0, self.about.dim), np.float32)
            return Batch([], {name: [] for name in stored}, nothing)
        if isinstance(rows, range):
            wanted, found = len(rows), self.collection.read([], stored, vectors, rows)
        else:
            wanted = len(set(rows))
            clause = Clause(ROW, tuple(sorted(set(rows))))
            found = self.collection.read([clause], stored, vectors, None)
        if len(set(found.rows)) != wanted or len(found.rows) != wanted:
            raise DataError(f"{self.name}: damaged index (items are missing)", AGAIN)
        return found

    def table(self, found: Batch, columns: Sequence[KeptColumn], order: Integers) -> pa.Table:
        """What was read as the items have it, in this order."""
        try:
            arrays = {column.name: column.decode(found.values[column.stored]) for column in columns}
        except (ValueError, TypeError, OverflowError, pa.ArrowException):
            raise DataError(f"{self.name}: damaged index (not to be read)", AGAIN) from None
        return pa.table(arrays).take(pa.array(order)) if arrays else pa.table({})

    def having(self, name: str, texts: Sequence[str]) -> list[list[int]]:
        """For each text the rows of the items with it in a column, in order; none of nothing."""
        column = self.about.by_name[name]
        rows: dict[object, list[int]] = {}
        for row, item in self.rows_with(column, [text for text in dict.fromkeys(texts) if text]):
            rows.setdefault(item[name], []).append(row)
        return [sorted(rows.get(text, [])) if text else [] for text in texts]

    def rows_with(
        self, column: KeptColumn, values: Sequence[Native]
    ) -> list[tuple[int, Mapping[str, object]]]:
        """The items with one of these values in a column: their rows, ids, paths and hashes."""
        if not values:
            return []
        names = [name for name in ("id", "path", "sha256") if name in self.about.by_name]
        columns = [self.about.by_name[name] for name in dict.fromkeys([column.name, *names])]
        stored = [each.stored for each in columns]
        clause = Clause(column.stored, tuple(values))
        found = self.collection.read([clause], stored, vectors=False, span=None)
        return [
            (row, {each.name: found.values[each.stored][place] for each in columns})
            for place, row in enumerate(found.rows)
        ]

    def distinct(self, column: KeptColumn) -> list[Native | None]:
        """The values of a column, each once."""
        if column not in self._kept:
            self._kept[column] = self.collection.distinct(column.stored)
        return cast("list[Native | None]", self._kept[column])

    def count(self, clauses: tuple[Clause, ...]) -> int:
        """How many items there are of which all clauses hold."""
        if clauses not in self._kept:
            self._kept[clauses] = self.collection.count(clauses)
        return cast("int", self._kept[clauses])


def places(rows: Sequence[int], wanted: Sequence[int]) -> Integers:
    """Where each wanted row stands among the rows."""
    found = {row: place for place, row in enumerate(rows)}
    return np.array([found[row] for row in wanted], dtype=np.int64)
