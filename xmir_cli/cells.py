"""Values of a record as text: in a cell of a table, and in lines of a key each."""

from collections.abc import Iterator, Mapping

from xmir_cli.console import escape
from xmir_cli.table import GAP, Column, below, count_cells, is_number
from xmir_cli.wire.records import Record

_INSTEAD = {"query": "query_text"}  # a column, and what stands there where a record has none


def cell_of(record: Mapping[str, object], column: str) -> str:
    """The value of a column, whose dots reach into objects; the empty text for none."""
    column = _INSTEAD.get(column, column) if record.get(column) is None else column
    value: object = record
    for part in column.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4f}"
    return str(value)


def harmless(cell: str) -> str:
    """A CSV cell that no spreadsheet takes for a formula; plain numbers stay numbers."""
    return f"'{cell}" if cell[:1] in set("=+-@\t\r") and not is_number(cell) else cell


def encodable(text: str) -> str:
    """Text without the half characters that JSON can name and no encoding has."""
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text


def list_lines(record: Record, width: int | None) -> list[str]:
    """A line a key, the values aligned; one that is too long for that stands below its key."""
    rows = [row for row in _flat(record, "") if row[0] != "schema"]
    names = Column((), max(count_cells(name) for name, _ in rows), numeric=False)
    lines = []
    for name, value in rows:
        one = f"{names.place(name)}{GAP}{value}".rstrip()
        if width is None or count_cells(one) <= width:
            lines.append(one)
        else:
            lines += below(name, value, width)
    return lines


def _flat(record: Record, prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in record.items():
        key = escape(f"{prefix}{name}")
        if isinstance(value, dict):
            yield from _flat(value, f"{key}.")
        elif isinstance(value, list | tuple) and any(isinstance(part, dict) for part in value):
            numbered = {str(number): part for number, part in enumerate(value, 1)}
            yield from _flat(numbered, f"{key}.")
        elif isinstance(value, list | tuple):
            yield key, escape(", ".join(str(part) for part in value))
        else:
            yield key, "" if value is None else escape(str(value))
