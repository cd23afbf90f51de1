"""A record for eyes: a line a key, and a small table where objects have the same keys."""

import re
from collections.abc import Iterator, Mapping

from xmir_cli.console import escape
from xmir_cli.table import GAP, Column, count_cells, head, lay_out, line, shorten
from xmir_cli.wire.records import Record

_HASH = re.compile(r"[0-9a-f]{64}")
_TOLD = 12  # characters of a hash
_DIGITS = 6  # of a number
_MOST = 100  # values of a list
_LEAST = 24  # cells to which a word is shortened; with less room it stands below its key

_Rows = list[list[str]]  # of a table, its header first


def list_lines(record: Record, width: int | None) -> list[str]:
    """The record in lines of `width` cells, None for any; a key without a value has none.

    Hashes and numbers are told by their first digits, a long word without its middle, a long list
    in several lines: the whole values are for JSON lines.
    """
    entries = [entry for entry in _entries(record, "", width) if entry[0] != "schema"]
    texts = [name for name, value in entries if isinstance(value, str)]
    names = Column((), max(map(count_cells, texts), default=0), numeric=False)
    return [
        text
        for name, value in entries
        for text in (
            _line(names, name, value, width)
            if isinstance(value, str)
            else _block(name, value, width)
        )
    ]


def _entries(record: Record, prefix: str, width: int | None) -> Iterator[tuple[str, str | _Rows]]:
    """Keys with their values: a text, or the rows of a table that fits."""
    for name, value in record.items():
        key = escape(f"{prefix}{name}")
        rows = _rows(value)
        if rows and _columns(rows, width):
            yield key, rows
        elif isinstance(value, Mapping):
            yield from _entries(dict(value), f"{key}.", width)
        elif isinstance(value, list | tuple):
            objects = {str(place): each for place, each in enumerate(value, 1)}
            if any(isinstance(each, Mapping) for each in value):
                yield from _entries(objects, f"{key}.", width)
            elif value:
                more = [f"and {len(value) - _MOST} more"] if len(value) > _MOST else []
                yield key, ", ".join([*map(_text, value[:_MOST]), *more])
        elif value is not None:
            yield key, _text(value)


def _rows(value: object) -> _Rows:
    """The table of a list or an object of two objects and more that have the same plain keys."""
    objects = list(
        value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    )
    if len(objects) < 2 or not all(isinstance(each, Mapping) and each for each in objects):
        return []
    keys = list(objects[0])
    plain = all(list(each) == keys and not any(map(_is_nested, each.values())) for each in objects)
    if not plain:
        return []
    rows = [list(map(escape, keys)), *([_text(cell) for cell in each.values()] for each in objects)]
    names = ["", *map(escape, value)] if isinstance(value, Mapping) else [""] * len(rows)
    return [[name, *row] for name, row in zip(names, rows, strict=True)]


def _is_nested(value: object) -> bool:
    return isinstance(value, Mapping | list | tuple)


def _columns(rows: _Rows, width: int | None) -> list[Column] | None:
    return lay_out(rows[0], rows[1:], None if width is None else width - len(GAP))


def _block(name: str, rows: _Rows, width: int | None) -> Iterator[str]:
    """A table below its key, without the middle of very many rows."""
    columns = _columns(rows, width)
    assert columns is not None  # as it was asked before
    yield name
    drawn = [line(columns, row) for row in rows[1:]]
    if left := max(0, len(drawn) - _MOST):
        drawn[_MOST // 2 : _MOST // 2 + left] = [f"... {left} more ..."]
    for text in [*head(columns), *drawn]:
        yield f"{GAP}{text}".rstrip()


def _line(names: Column, name: str, value: str, width: int | None) -> Iterator[str]:
    start, room = names.place(name) + GAP, 0 if width is None else width - names.width - len(GAP)
    if width is None or count_cells(value) <= room:
        yield f"{start}{value}".rstrip()
        return
    below = width - len(GAP)  # the room of a word that is whole there, and would be cut beside
    fits = room >= _LEAST and (", " in value or count_cells(value) > below)
    words = _wrap(value, room if fits else below)
    if not fits:
        yield shorten(name, width)
        start = GAP
    for word in words:
        yield f"{start}{word}"
        start = " " * count_cells(start)


def _wrap(text: str, width: int) -> Iterator[str]:
    """A list in lines of at most `width` cells; what is longer by itself is shortened."""
    parts = text.split(", ")
    held = ""
    for place, part in enumerate(parts):
        comma = "," if place < len(parts) - 1 else ""
        word = shorten(part, width - len(comma)) + comma
        longer = f"{held} {word}" if held else word
        if count_cells(longer) > width:
            yield held
            longer = word
        held = longer
    yield held


def _text(value: object) -> str:
    """A plain value; yes and no, a number of few digits, the beginning of a hash."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.{_DIGITS}g}"
    text = escape(str(value))
    return f"{text[:_TOLD]}…" if _HASH.fullmatch(text) else text
