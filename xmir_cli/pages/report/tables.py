"""Records of one schema as a table: the columns that the schema shows, and what they mean."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from xmir_cli.console import escape
from xmir_cli.pages.report.names import ShortNames
from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import Key, Schema, Shows, keys_of

PART = "part"  # the column that says which part of a record a row is
_LONGEST = 300  # characters of a cell
_WHOLE = "all"  # the part that is the whole record
_NUMBER, _SPREAD = "NUMBER_", "NUMBER_sd"  # patterns of keys that belong to a number


@dataclass(frozen=True)
class SheetCell:
    """A value as a page shows it, and as a table sorts by it."""

    text: str
    number: float | None


@dataclass(frozen=True)
class SheetRow:
    """A record, or a part of one."""

    number: int  # of the record on the page
    cells: Sequence[SheetCell]


@dataclass(frozen=True)
class Sheet:
    """The records of one schema."""

    name: str
    about: str
    columns: Mapping[str, str]  # with their meanings
    rows: Sequence[SheetRow]

    @property
    def numeric(self) -> Sequence[bool]:
        """Of which columns all values are numbers."""
        return [
            all(
                row.cells[place].number is not None or not row.cells[place].text
                for row in self.rows
            )
            for place in range(len(self.columns))
        ]


def sheet(schema: type[Schema], records: Mapping[int, Record], names: ShortNames) -> Sheet:
    """The records, by their numbers on the page, without columns that are empty in all of them."""
    parts = [
        (number, part) for number, record in records.items() for part in _parts(schema, record)
    ]
    columns, known = _ordered(schema, [part for _, part in parts]), keys_of(schema)
    rows = [
        SheetRow(number, [_cell_of(column, part, names, known) for column in columns])
        for number, part in parts
    ]
    about = _plain(" ".join((schema.__doc__ or "").split()))
    return Sheet(schema.NAME, about, {each: _meaning(schema, each) for each in columns}, rows)


def _ordered(schema: type[Schema], parts: Sequence[Mapping[str, object]]) -> list[str]:
    """The columns, but for the ends of intervals, which stand beside their numbers.

    What rows of parts have comes first, so that it is seen without the settings of the whole.
    """
    found = dict.fromkeys(column for part in parts for column in part)
    inner = {column for part in parts if part.get(PART, _WHOLE) != _WHOLE for column in part}
    order = {name: place for place, name in enumerate(keys_of(schema))}
    ends = {end for column in found for end in _ends(column)}
    return sorted(
        (column for column in found if column not in ends),
        key=lambda name: (
            name != PART,
            bool(inner) and name not in inner,
            order.get(_key(name), len(order)),
        ),
    )


def _ends(column: str) -> tuple[str, str]:
    """The columns of the ends of a number's interval: `gain_low.center` of `gain.center`."""
    name, dot, part = column.partition(".")
    return f"{name}_low{dot}{part}", f"{name}_high{dot}{part}"


def _cell_of(
    column: str, part: Mapping[str, object], names: ShortNames, known: Mapping[str, Key]
) -> SheetCell:
    """The cell of a column in a row, a number with its interval."""
    own = cell(part.get(column), names, known.get(_key(column)))
    low, high = (part.get(end) for end in _ends(column))
    if own.number is None or not isinstance(low, int | float) or not isinstance(high, int | float):
        return own
    return SheetCell(f"{own.text} ({_number(low)} to {_number(high)})", own.number)


def values_of(schema: type[Schema], record: Record, shows: Shows) -> dict[str, object]:
    """What of a record is shown there, by key; of an object its parts, `insertion_gain.center`."""
    found: dict[str, object] = {}
    for name, value in record.items():
        key = keys_of(schema).get(name)
        told = key.shows if key is not None else _shows_other(schema, name, value)
        if told is not shows or value is None:
            continue
        if isinstance(value, Mapping) and shows is not Shows.MADE:
            plain = {f"{name}.{escape(str(part))}": each for part, each in value.items()}
            found |= {part: each for part, each in plain.items() if _is_plain(each)}
        else:
            found[name] = value
    return found


def cell(value: object, names: ShortNames, key: Key | None = None) -> SheetCell:
    """The value for eyes and for sorting; a path becomes a name."""
    if value is None:
        return SheetCell("", None)
    if isinstance(value, bool):
        return SheetCell("yes" if value else "no", None)
    if isinstance(value, int | float):
        return SheetCell(_number(value), float(value) if abs(value) < 1e300 else None)
    parts = value if isinstance(value, list | tuple) else [value]
    paths = key is not None and key.kind.is_path
    text = ", ".join(
        names.of(part) if paths and isinstance(part, str) else _text(part) for part in parts
    )
    return SheetCell(text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …", None)


def _number(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e6 else f"{value:.3g}"


def _text(value: object) -> str:
    """A part of a value; of an absolute path only the end."""
    if isinstance(value, int | float):
        return _number(value)
    text = str(value)
    return escape(PurePath(text).name if text.startswith("/") else text)


def _parts(schema: type[Schema], record: Record) -> Iterator[dict[str, object]]:
    """The row of a record, and those of its objects that are rows of their own."""
    own = values_of(schema, record, Shows.COLUMN)
    rows = values_of_objects(schema, record)
    yield {PART: _WHOLE, **own} if rows else own
    for name, value in rows.items():
        yield from _inner(name, value)


def values_of_objects(schema: type[Schema], record: Record) -> dict[str, Mapping[str, object]]:
    """The objects of a record that are rows of their own."""
    found = {}
    for name, value in record.items():
        key = keys_of(schema).get(name)
        told = key.shows if key is not None else _shows_other(schema, name, value)
        if told is Shows.ROWS and isinstance(value, Mapping):
            found[name] = value
    return found


def _inner(name: str, value: Mapping[str, object]) -> Iterator[dict[str, object]]:
    plain = {escape(key): each for key, each in value.items() if _is_plain(each)}
    if plain:
        yield {PART: name, **plain}
    for key, each in value.items():
        if isinstance(each, Mapping):
            yield from _inner(f"{name}: {escape(key)}", each)


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float)


def _shows_other(schema: type[Schema], name: str, value: object) -> Shows:
    """A key that the schema tells by a pattern; one that it does not tell is not shown."""
    pattern, _ = _other(schema, name)
    if not pattern or (pattern == _SPREAD and isinstance(value, Mapping)):
        return Shows.NOTHING
    of_number = pattern.startswith(_NUMBER)  # of which an object has one for each control
    return Shows.ROWS if isinstance(value, Mapping) and not of_number else Shows.COLUMN


def _other(schema: type[Schema], name: str) -> tuple[str, str]:
    """The pattern by which the schema tells a key, and what it means; empty where none does."""
    others: dict[str, str] = vars(schema).get("OTHERS", {})
    for pattern, meaning in others.items():
        if re.fullmatch(re.sub("[A-Z]+", r"\\w+", pattern), name):
            return pattern, meaning
    return "", ""


def _key(column: str) -> str:
    return column.partition(".")[0]


def _meaning(schema: type[Schema], column: str) -> str:
    if column == PART:
        return "the whole record, or which part of it"
    key = keys_of(schema).get(_key(column))
    return _plain(key.meaning if key is not None else _other(schema, _key(column))[1])


def _plain(text: str) -> str:
    """A text without the marks around names, which only a manual page draws."""
    return text.replace("`", "")
