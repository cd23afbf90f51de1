"""A connection to PostgreSQL: made when it is needed, and again when it was lost.

Passwords come from where libpq looks for them: PGPASSWORD, ~/.pgpass, a service. What the library
says of an error is never repeated, for it quotes what was asked and what stands in tables.
"""

import math
import time
import weakref
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any, cast

import psycopg
from pgvector.psycopg import register_vector
from psycopg import sql

from xmir_cli.errors import DataError, UsageError, is_starved
from xmir_cli.gallery.address import Address
from xmir_cli.gallery.servers.retries import (
    CONNECTING,
    GOING_ON,
    LOADS_GO_ON,
    MEANWHILE,
    Answer,
    LostError,
    again,
)

_OWN = {"table", "timeout"}  # parameters of a URL that libpq does not know
_CONNECT = 10  # seconds
# of what libpq says of a connection: that it may work later, and what is to be said of it
_LATER = ("starting up", "shutting down", "recovery", "too many clients", "connection slots")
_SAID = {
    "timeout": "no answer in time",
    "password authentication failed": "wrong password, or no such user",
    "no password supplied": "a password is needed",
    "pg_hba": "the server lets nobody in from here",
    "does not exist": "no such database or user",
    "resolve host": "no such host",
    "could not translate": "no such host",
    "refused": "no server answers there",
    "No such file": "no server answers there",
    "certificate": "its certificate is not trusted",
    "SSL": "no encrypted connection",
}
_INSIDE = "Put the password into ~/.pgpass or $PGPASSWORD."
_HINTS = {
    "wrong password, or no such user": _INSIDE,
    "a password is needed": _INSIDE,
    "no server answers there": f"Is it started, and are host and port right? {LOADS_GO_ON}",
    "no such database or user": "Make it, or name another: postgresql://USER@HOST/DATABASE.",
    "no such host": "Is the host of the URL spelt right, and known here?",
    "no encrypted connection": "Let the server offer TLS, or ask for less by sslmode=.",
    "its certificate is not trusted": "Name the authority's file: sslrootcert=FILE.",
    "no such schema": "Make it: create schema NAME.",
    "the index was removed or replaced meanwhile": MEANWHILE,
    "its disk is full": f"Make room. {LOADS_GO_ON}",
    "the server lets nobody in from here": "Its pg_hba.conf says who may come.",
}
_LOST = {"57P01", "57P02", "57P03", "53300", "40001", "40P01"}  # and class 08
_STATES = {
    "42501": "the user may not do that",
    "53100": "its disk is full",
    "53200": "it has no memory left",
    "54000": "a value is too long for it",
    "42704": "it has no extension vector",
    "58P01": "it has no extension vector",
    "0A000": "it has no extension vector, or an old one",
    "57014": "it stopped the statement (statement_timeout)",
    "22021": "a text holds a NUL, which it does not keep",
    "3F000": "no such schema",
    "42P01": "the index was removed or replaced meanwhile",
    "25006": "it may only be read",
    "55P03": "somebody else holds the table",
}


class Connection(psycopg.Connection[tuple[Any, ...]]):  # type: ignore[misc] # perhaps missing
    """A connection that gives up when its `deadline` is past, also where the server hangs."""

    deadline = float("inf")  # as time.monotonic

    def wait(self, gen: Generator[Any, Any, Answer], *args: object, **named: object) -> Answer:
        """As it waits ever, but not for longer."""
        return cast("Answer", super().wait(_until(gen, self.deadline), *args, **named))


def _until(gen: Generator[Any, Any, Answer], deadline: float) -> Generator[Any, Any, Answer]:
    try:
        state = next(gen)
        while True:
            ready = yield state
            if time.monotonic() > deadline:
                raise TimeoutError
            state = gen.send(ready)
    except StopIteration as end:
        return cast("Answer", end.value)


class Session:
    """Statements sent to the server that an address names."""

    def __init__(self, address: Address) -> None:
        self.name, self.seconds = address.url, address.seconds
        self._target = _target(address)
        self._patience = min(_CONNECT, math.ceil(address.seconds))
        self._connection: Connection | None = None

    def again(self, do: Callable[[Connection], Answer]) -> Answer:
        """What is done, whole or not at all, and again where the server was lost on the way."""
        tries = CONNECTING if self._connection is None else GOING_ON
        return again(lambda: self.once(do), tries)

    def once(self, do: Callable[[Connection], Answer], limited: bool = True) -> Answer:
        """What is done with the connection, or DataError; with a limit in the time it may take."""
        connection = self._connected()
        connection.deadline = time.monotonic() + self.seconds if limited else float("inf")
        try:
            return do(connection)
        except TimeoutError:
            self._drop()
            raise DataError(
                f"{self.name}: no answer within {self.seconds:g} s",
                "Give it longer: &timeout=SECONDS in the URL.",
            ) from None
        except psycopg.Error as error:
            raise self._told(error) from None

    def close(self) -> None:
        """End the connection."""
        self._drop()

    def _connected(self) -> Connection:
        if self._connection is not None and not self._connection.closed:
            return self._connection
        self._connection = None
        try:
            connection: Connection = Connection.connect(self._target, **self._more())
            know_vectors(connection)
        except psycopg.ProgrammingError:
            raise UsageError(
                "postgresql://...: not a URL of PostgreSQL",
                "Expected postgresql://HOST/DATABASE?table=NAME, with parameters of libpq.",
            ) from None
        except psycopg.Error as error:
            raise self._unreached(str(error)) from None
        self._connection = connection
        weakref.finalize(self, connection.close)
        return connection

    def _more(self) -> dict[str, Any]:
        known = psycopg.conninfo.conninfo_to_dict(self._target)
        limit = {} if "connect_timeout" in known else {"connect_timeout": self._patience}
        # nothing is prepared, for a pooler may hand each statement to another server
        return {"autocommit": True, "prepare_threshold": None, "application_name": "xmir", **limit}

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _unreached(self, text: str) -> DataError:
        said = next((said for part, said in _SAID.items() if part in text), "cannot be reached")
        kind = LostError if _may_work_later(text, said) else DataError
        return kind(f"{self.name}: {said}", _HINTS.get(said, ""))

    def _told(self, error: psycopg.Error) -> Exception:
        if is_starved(error):
            return MemoryError()
        state = error.sqlstate or ""
        lost = state in _LOST or state.startswith("08")
        if lost or self._connection is None or self._connection.closed:
            self._drop()
            return LostError(
                f"{self.name}: the connection was lost",
                f"Run it again once the server is there. {LOADS_GO_ON}",
            )
        said = _STATES.get(state, f"the server refused it ({type(error).__name__})")
        return DataError(f"{self.name}: {said}", _HINTS.get(said, ""))


def first_value(connection: Connection, statement: sql.Composable) -> Any:  # noqa: ANN401
    """The first value of the first row."""
    found = connection.execute(statement).fetchone()
    return None if found is None else found[0]


def know_vectors(connection: psycopg.Connection[Any]) -> None:
    """Let arrays pass as vectors, if the database has its extension."""
    with suppress(psycopg.ProgrammingError):
        register_vector(connection)


def _may_work_later(text: str, said: str) -> bool:
    return said == "no server answers there" or any(part in text for part in _LATER)


def _target(address: Address) -> str:
    """The URL as libpq takes it."""
    base, _, query = address.url.partition("?")
    kept = [pair for pair in query.split("&") if pair and pair.partition("=")[0] not in _OWN]
    return f"{base}?{'&'.join(kept)}" if kept else base
