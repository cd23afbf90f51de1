"""The engine of indexes postgresql://HOST/DATABASE?table=NAME: a table with a column of vectors.

What the index says of itself is the table's comment. Batch are loaded into a table beside it, which
takes its name in one transaction when all of them are in.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import cast

from psycopg import sql

from xmir_cli import console
from xmir_cli.errors import DataError, SettingError, UsageError
from xmir_cli.gallery.address import Address, parse_url
from xmir_cli.gallery.postgres import statements
from xmir_cli.gallery.postgres.collection import VectorTable
from xmir_cli.gallery.postgres.loading import Loading, make_extension, open_table
from xmir_cli.gallery.postgres.session import Session
from xmir_cli.gallery.protocol import Build
from xmir_cli.gallery.servers.about import AGAIN, About, is_about, parse_about
from xmir_cli.gallery.servers.collection import Batch, Collection, Standing
from xmir_cli.gallery.servers.columns import ValueKind
from xmir_cli.gallery.servers.engine import ServerEngine
from xmir_cli.wire.strict import parse_json

_UNFINISHED = "_unfinished"  # what the name of a table ends with that is being filled
_LONGEST = 63  # bytes of a name
_INDEXED, _STORED = 2000, 16000  # numbers of a vector that pgvector takes
_PAUSE = 0.5  # seconds between two looks at somebody else's lock
_M, _EF = 100, 1000  # of its graph, at most


class TablePlace:
    """A table that is there or may be made."""

    def __init__(self, address: Address) -> None:
        self._session = Session(address)
        self._name = address.url
        table = _table_of(address)
        self._table = statements.table_name(table)
        self._filled = statements.table_name(table + _UNFINISHED)
        last = table.rpartition(".")[2]
        self._loading = Loading(self._session, self._table, last, self._filled)

    @property
    def kinds(self) -> frozenset[ValueKind]:
        """Of which values are that it keeps."""
        return statements.KINDS

    def look(self) -> Standing:
        """What has the name; and whether a load was begun."""
        about, complete, there = self._look_at(self._table)
        if about is not None and complete:
            return Standing(about)
        unfinished, _, _ = self._look_at(self._filled)
        return Standing(None, there and about is None, unfinished is not None or about is not None)

    def open(self, about: About) -> VectorTable:
        """The table that was found."""
        return self._session.again(partial(open_table, self._session, self._table, about))

    def refuse(self, build: Build, dim: int | None = None) -> None:
        """Raise SettingError or DataError for what pgvector cannot do."""
        for name, value in asdict(build.spread).items():
            if value is not None:
                reason = "a table of PostgreSQL has none; a collection of Qdrant has"
                raise SettingError(name, reason, value=str(value))
        if dim is not None and dim > _STORED:
            raise DataError(f"{self._name}: pgvector keeps at most {_STORED} numbers an embedding")
        if build.kind != "hnsw":
            return
        if dim is not None and dim > _INDEXED:
            reason = f"pgvector's graph takes at most {_INDEXED} numbers, found {dim}"
            raise SettingError("kind", reason, "Index with `kind` exact.", build.kind)
        settings = build.graph
        if settings.m > _M:
            raise SettingError("m", f"pgvector takes at most {_M}", value=str(settings.m))
        wanted = settings.ef_construction
        if not 2 * settings.m <= wanted <= _EF:
            reason = f"pgvector takes twice `m` to {_EF}"
            raise SettingError("ef_construction", reason, value=str(wanted))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """While it lasts nobody else loads; the lock is the server's, and ends with the process."""
        told = False
        try:
            while not self._session.again(self._loading.take):
                if not told:
                    console.note(
                        f"{self._name}: somebody else loads into it; this waits for its end"
                    )
                told = True
                time.sleep(_PAUSE)
            yield
        finally:
            self._session.close()

    def begin(self, about: About) -> int:
        """Make the table that is filled, unless it is there; how many rows it has."""
        self._session.again(make_extension)
        unfinished, _, there = self._look_at(self._filled)
        if there and unfinished is None:
            raise DataError(f"{self._name}: a table {_UNFINISHED} is beside it, which is no index")
        if unfinished is None or not unfinished.is_same_load(about):
            if unfinished is not None:
                console.note(f"{self._name}: an unfinished load of other embeddings is removed")
            self._session.again(partial(self._loading.make, about))
        return self._session.again(self._loading.count)

    def put(self, about: About, batches: Iterator[Batch], start: int) -> None:
        """Add rows in their order, a transaction for each batch."""
        for batch in batches:
            self._session.again(partial(self._loading.add, about, batch, start))

    def finish(self, about: About, measure: Callable[[Collection], float | None]) -> About:
        """Index the rows and give the table its name, in one transaction."""
        return self._session.once(partial(self._loading.finish, about, measure), limited=False)

    def _look_at(self, table: sql.Identifier) -> tuple[About | None, bool, bool]:
        """What a table says of itself, whether it is complete, and whether there is one."""
        statement, values = statements.find_table(table.as_string())
        found = self._session.again(lambda c: c.execute(statement, values).fetchone())
        if found is None:
            return None, False, False
        _, comment, kind = found
        try:
            data = parse_json(comment or "")
        except ValueError:
            data = None
        if not is_about(data):
            return None, False, True
        about, complete = parse_about(cast("dict[str, object]", data), self._name)
        if kind != f"vector({about.dim})":
            raise DataError(f"{self._name}: damaged index (vectors of {kind})", AGAIN)
        return about, complete, True


def _table_of(address: Address) -> str:
    table = address.parameters.get("table", "")
    parts = table.split(".")
    last = len(parts[-1].encode()) + len(_UNFINISHED)
    fine = all(part and part.isprintable() and "%" not in part for part in parts)
    if not fine or len(parts) > 2 or last > _LONGEST or len(parts[0].encode()) > _LONGEST:
        raise UsageError(
            f"{address.url}: which table? Expected table=NAME or table=SCHEMA.NAME",
            f"A name has at most {_LONGEST - len(_UNFINISHED)} letters.",
        )
    return table


def find_place(name: str) -> TablePlace:
    """The place that a URL names; raises UsageError where it names none."""
    return TablePlace(parse_url(name))


ENGINE = ServerEngine(find_place)
