"""Values of a record as text in the cells of a table."""

from collections.abc import Mapping

from xmir_cli.table import is_number

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
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return _text(value)


def _text(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def harmless(cell: str) -> str:
    """A CSV cell that no spreadsheet takes for a formula; plain numbers stay numbers."""
    return f"'{cell}" if cell[:1] in set("=+-@\t\r") and not is_number(cell) else cell


def encodable(text: str) -> str:
    """Text without the half characters that JSON can name and no encoding has."""
    try:
        if not text.isascii():
            text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text
