"""A table of PostgreSQL that is asked and read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from psycopg import sql

from xmir_cli.arrays import Integers
from xmir_cli.errors import DataError
from xmir_cli.gallery.postgres import statements
from xmir_cli.gallery.postgres.session import Connection, Session
from xmir_cli.gallery.servers.about import About
from xmir_cli.gallery.servers.clauses import Clause
from xmir_cli.gallery.servers.collection import Batch, Near
from xmir_cli.gallery.servers.columns import EMBEDDING, ROW, Native
from xmir_cli.gallery.servers.retries import MEANWHILE
from xmir_cli.gallery.vectors import Vectors

_DEEPEST = 1000  # candidates that pgvector's graph keeps while searching

Fetched = list[tuple[Any, ...]]


@dataclass(frozen=True)
class VectorTable:
    """A whole table, by its name and by the number that no other table ever has."""

    session: Session
    table: sql.Identifier
    number: int
    about: About

    def count(self, clauses: Sequence[Clause]) -> int:
        """How many rows there are of which all clauses hold."""
        condition, values = statements.where(clauses)
        text = sql.SQL("SELECT count(*) FROM {} WHERE {}").format(self.table, condition)
        return int(self._ask(text, values)[0][0])

    def distinct(self, stored: str) -> list[Native | None]:
        """The values of a column, each once."""
        column = sql.Identifier(stored)
        return [
            value
            for (value,) in self._ask(
                sql.SQL("SELECT DISTINCT {} FROM {}").format(column, self.table)
            )
        ]

    def read(
        self, clauses: Sequence[Clause], stored: Sequence[str], vectors: bool, span: range | None
    ) -> Batch:
        """The rows of which all clauses hold."""
        condition, values = statements.where(clauses)
        if span is not None:
            within = sql.SQL("{0} >= %s AND {0} < %s").format(sql.Identifier(ROW))
            condition = sql.SQL("{} AND {}").format(condition, within)
            values = [*values, span.start, span.stop]
        names = [ROW, *stored, *([EMBEDDING] if vectors else [])]
        found = self._ask(statements.select(self.table, names, condition), values)
        columns = list(zip(*found, strict=True)) if found else [()] * len(names)
        return Batch(
            list(columns[0]),
            dict(zip(stored, columns[1:], strict=False)),
            _stack(columns[-1], self.about.dim) if vectors else None,
        )

    def nearest(
        self, query: Vectors, count: int, clauses: Sequence[Clause], graph: int | None
    ) -> Near:
        """The nearest rows: by comparing all of which the clauses hold, or by the graph."""
        condition, values = statements.where(clauses)
        settings = []
        if graph is not None:
            depth = sql.Literal(min(_DEEPEST, max(graph, count)))
            settings = [
                sql.SQL("SET LOCAL hnsw.ef_search = {}").format(depth),
                sql.SQL("SET LOCAL hnsw.iterative_scan = strict_order"),
            ]
        text = statements.nearest(self.table, condition, graph is not None)
        found = self._ask(text, [query, *values, count], settings)
        farthest = -float(found[-1][2]) if len(found) == count else -np.inf
        vectors = _stack([row[1] for row in found], self.about.dim)
        rows: Integers = np.array([row[0] for row in found], dtype=np.int64)
        return Near(rows, vectors, farthest)

    def _ask(
        self,
        statement: sql.Composable,
        values: Sequence[object] = (),
        settings: Sequence[sql.Composable] = (),
    ) -> Fetched:
        """The rows of a statement, all of the table that was opened."""
        quoted = self.table.as_string()

        def do(connection: Connection) -> Fetched:
            with connection.transaction():
                connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(self.table))
                found = connection.execute("SELECT to_regclass(%s)::oid::bigint", [quoted])
                if found.fetchone() != (self.number,):
                    raise DataError(f"{self.session.name}: replaced while it was read", MEANWHILE)
                for setting in settings:
                    connection.execute(setting)
                rows: Fetched = connection.execute(statement, values, binary=True).fetchall()
                return rows

        return self.session.again(do)


def _stack(vectors: Sequence[Any], dim: int) -> Vectors:
    if not vectors:
        return np.empty((0, dim), np.float32)
    return np.stack([vector.to_numpy() for vector in vectors])
