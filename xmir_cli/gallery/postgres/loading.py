"""Filling a table, a transaction for each batch, and giving it the name that it is asked by."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

import psycopg
from psycopg import sql

from xmir_cli import console
from xmir_cli.errors import DataError
from xmir_cli.gallery.postgres import statements
from xmir_cli.gallery.postgres.collection import VectorTable
from xmir_cli.gallery.postgres.session import Connection, Session, first_value, know_vectors
from xmir_cli.gallery.protocol import GraphSettings
from xmir_cli.gallery.servers.about import AGAIN, About
from xmir_cli.gallery.servers.collection import Batch, Collection
from xmir_cli.gallery.servers.columns import ROW

_LINK, _NODE = 32, 300  # bytes of pgvector's graph, about: for each of `m`, and for each item
_ROOM = 1 << 20  # kB that are asked for at most


@dataclass(frozen=True)
class Loading:
    """A table that is filled, and the one whose place it is to take."""

    session: Session
    table: sql.Identifier
    last: str  # part of the table's name
    filled: sql.Identifier

    def take(self, connection: Connection) -> bool:
        """Whether the server's lock on the name was to be had, which ends with the connection."""
        text = sql.SQL("SELECT pg_try_advisory_lock(hashtextextended({}, 0))")
        key = sql.Literal(f"xmir {self.table.as_string()}")
        return bool(first_value(connection, text.format(key)))

    def keep(self, connection: Connection) -> None:
        """Have the lock still, on another connection, too; DataError where somebody took it."""
        if not self.take(connection):
            raise DataError(
                f"{self.session.name}: somebody else loads into it now",
                "Wait until that has ended, or choose another table.",
            )

    def make(self, about: About, connection: Connection) -> None:
        """The empty table, in place of what another load has left."""
        with connection.transaction():
            connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(self.filled))
            connection.execute(statements.create(self.filled, about))
            self._tell(about, connection, complete=False)

    def count(self, connection: Connection) -> int:
        """How many rows there are."""
        text = sql.SQL("SELECT count(*) FROM {}").format(self.filled)
        return int(first_value(connection, text))

    def add(self, about: About, batch: Batch, start: int, connection: Connection) -> None:
        """Add the rows of a batch that are not there; a commit may have gone through unheard."""
        self.keep(connection)
        text, types = statements.copy_into(self.filled, about)
        last = sql.SQL("SELECT coalesce(max({}), -1) FROM {}")
        with connection.transaction():
            known = int(first_value(connection, last.format(sql.Identifier(ROW), self.filled))) + 1
            columns = [batch.values[column.stored] for column in about.columns]
            vectors = batch.vectors if batch.vectors is not None else ()
            with connection.cursor().copy(text) as copy:
                copy.set_types(types)
                for values in zip(batch.rows, *columns, vectors, strict=True):
                    if values[0] >= max(start, known):
                        copy.write_row(values)

    def finish(
        self, about: About, measure: Callable[[Collection], float | None], connection: Connection
    ) -> About:
        """Index the rows and give the table its name, in one transaction."""
        with suppress(psycopg.Error):  # PostgreSQL 14: it ends when this process does, and its lock
            connection.execute("SET client_connection_check_interval = '2s'")
        with connection.transaction():
            connection.execute("SET LOCAL statement_timeout = 0")
            found = self.count(connection)
            if found != about.rows:
                raise DataError(
                    f"{self.session.name}: {found} of {about.rows} items came in", AGAIN
                )
            with console.progress("indexing", None):
                self._index(about, connection)
            recall = measure(open_table(self.session, self.filled, about, connection))
            made = replace(about, recall_at_10=recall)
            self._tell(made, connection, complete=True)
            connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(self.table))
            rename = sql.SQL("ALTER TABLE {} RENAME TO {}")
            connection.execute(rename.format(self.filled, sql.Identifier(self.last)))
        connection.execute(sql.SQL("ANALYZE {}").format(self.table))
        return made

    def _index(self, about: About, connection: Connection) -> None:
        kinds = [(name, "hash") for name in statements.LOOKED_UP]
        kinds += [(name, "btree") for name in statements.CHOSEN]
        for name, how in kinds:
            stored = about.by_name[name].stored if name in about.by_name else None
            if stored and (how == "hash" or self._is_short(stored, connection)):
                connection.execute(statements.index_of(self.filled, stored, how))
        if about.settings is not None:
            _make_room(about, about.settings, connection)
            connection.execute(statements.graph_of(self.filled, about.settings))

    def _is_short(self, stored: str, connection: Connection) -> bool:
        """Whether a B-tree takes all values of a column."""
        text = sql.SQL("SELECT coalesce(max(octet_length({}::text)), 0) FROM {}")
        longest = first_value(connection, text.format(sql.Identifier(stored), self.filled))
        return int(longest) <= statements.LONGEST

    def _tell(self, about: About, connection: Connection, complete: bool) -> None:
        told = sql.Literal(json.dumps(about.to_json(complete)))
        connection.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(self.filled, told))


def _make_room(about: About, settings: GraphSettings, connection: Connection) -> None:
    """Let a graph be built in memory, where it is to be had: beyond it that takes far longer.

    One process builds it then, for several would share memory that a container may not have.
    """
    needed = about.rows * (4 * about.dim + _LINK * settings.m + _NODE) // 1024
    text = "SELECT setting::bigint FROM pg_settings WHERE name = 'maintenance_work_mem'"
    if int(first_value(connection, sql.SQL(text))) < needed:
        room = sql.Literal(min(needed, _ROOM))
        connection.execute(sql.SQL("SET LOCAL maintenance_work_mem = {}").format(room))
        connection.execute("SET LOCAL max_parallel_maintenance_workers = 0")


def open_table(
    session: Session, table: sql.Identifier, about: About, connection: Connection
) -> VectorTable:
    """The table that has the name now."""
    quoted = sql.Literal(table.as_string())
    text = sql.SQL("SELECT to_regclass({})::oid::bigint").format(quoted)
    return VectorTable(session, table, int(first_value(connection, text) or 0), about)


def make_extension(connection: Connection) -> None:
    """Let the database keep vectors."""
    connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    know_vectors(connection)
