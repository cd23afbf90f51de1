"""The SQL of galleries: names are quoted, and values are parameters, never text of a statement."""

from collections.abc import Sequence

from psycopg import sql

from xmir_cli.gallery.protocol import GraphSettings
from xmir_cli.gallery.servers.about import About
from xmir_cli.gallery.servers.clauses import Clause
from xmir_cli.gallery.servers.columns import EMBEDDING, ROW, ValueKind

_TYPES: dict[ValueKind, str] = {
    "text": "text",
    "whole": "bigint",
    "number": "double precision",
    "boolean": "boolean",
}
KINDS = frozenset(_TYPES)
LOOKED_UP = ("id", "path", "sha256")  # of any length, and nearly each value but once
CHOSEN = ("label", "patient", "split")  # of few values
LONGEST = 2000  # bytes of a value that a B-tree surely takes


def table_name(table: str) -> sql.Identifier:
    """A table, perhaps SCHEMA.TABLE, as it stands in a statement."""
    return sql.Identifier(*table.split("."))


def where(clauses: Sequence[Clause]) -> tuple[sql.Composable, list[object]]:
    """That all clauses hold, and its parameters."""
    if not clauses:
        return sql.SQL("true"), []
    parts = [_clause(clause) for clause in clauses]
    return sql.SQL(" AND ").join(parts), [list(clause.values) for clause in clauses]


def _clause(clause: Clause) -> sql.Composable:
    forms = {
        (True, False): "{0} = ANY(%s)",
        (True, True): "({0} = ANY(%s) OR {0} IS NULL)",
        (False, False): "({0} = ANY(%s)) IS DISTINCT FROM true",
        (False, True): "({0} <> ALL(%s) AND {0} IS NOT NULL)",
    }
    return sql.SQL(forms[clause.within, clause.nothing]).format(sql.Identifier(clause.stored))


def create(table: sql.Identifier, about: About) -> sql.Composable:
    """The empty table."""
    columns = [
        sql.SQL("{} {}").format(sql.Identifier(column.stored), sql.SQL(_TYPES[column.kind]))
        for column in about.columns
    ]
    return sql.SQL("CREATE TABLE {} ({} bigint PRIMARY KEY, {}, {} vector({}) NOT NULL)").format(
        table,
        sql.Identifier(ROW),
        sql.SQL(", ").join(columns),
        sql.Identifier(EMBEDDING),
        sql.Literal(about.dim),
    )


def find_table(quoted: str) -> tuple[sql.Composable, list[object]]:
    """The number of a table, what it says of itself, and the type of its vectors; no row: none."""
    return sql.SQL(
        "SELECT c.oid::bigint, obj_description(c.oid, 'pg_class'), "
        "(SELECT format_type(a.atttypid, a.atttypmod) FROM pg_attribute a "
        "WHERE a.attrelid = c.oid AND a.attname = {} AND NOT a.attisdropped) "
        "FROM pg_class c WHERE c.oid = to_regclass(%s)"
    ).format(sql.Literal(EMBEDDING)), [quoted]


def index_of(table: sql.Identifier, stored: str, how: str) -> sql.Composable:
    """An index that finds the values of a column."""
    return sql.SQL("CREATE INDEX ON {} USING {} ({})").format(
        table, sql.SQL(how), sql.Identifier(stored)
    )


def graph_of(table: sql.Identifier, settings: GraphSettings) -> sql.Composable:
    """The graph of the vectors."""
    return sql.SQL(
        "CREATE INDEX ON {} USING hnsw ({} vector_ip_ops) WITH (m = {}, ef_construction = {})"
    ).format(
        table,
        sql.Identifier(EMBEDDING),
        sql.Literal(settings.m),
        sql.Literal(settings.ef_construction),
    )


def copy_into(table: sql.Identifier, about: About) -> tuple[sql.Composable, list[str]]:
    """The statement that takes rows in, and the types of their values."""
    names = [ROW, *(column.stored for column in about.columns), EMBEDDING]
    types = ["bigint", *(_TYPES[column.kind] for column in about.columns), "vector"]
    listed = sql.SQL(", ").join(map(sql.Identifier, names))
    return sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(table, listed), types


def select(
    table: sql.Identifier, names: Sequence[str], condition: sql.Composable
) -> sql.Composable:
    """Columns of the rows of which a condition holds."""
    listed = sql.SQL(", ").join(map(sql.Identifier, names))
    return sql.SQL("SELECT {} FROM {} WHERE {}").format(listed, table, condition)


def nearest(table: sql.Identifier, condition: sql.Composable, graph: bool) -> sql.Composable:
    """Rows, vectors and negative products with a vector, nearest first: it and a count follow.

    A sum is in no index: so all rows are compared unless the graph is to be asked.
    """
    row, embedding = sql.Identifier(ROW), sql.Identifier(EMBEDDING)
    product = sql.SQL("{} <#> %s" if graph else "({} <#> %s) + 0").format(embedding)
    return sql.SQL("SELECT {}, {}, {} AS d FROM {} WHERE {} ORDER BY d LIMIT %s").format(
        row, embedding, product, table, condition
    )
