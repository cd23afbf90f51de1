"""How a record of the wire is described, and read as a typed view that keeps unknown keys.

A schema is a frozen dataclass: a field a key, made by `key`, and `record`, the whole record as it
came. `read_view` checks each key once, so that the same fault has the same words everywhere.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from enum import StrEnum
from typing import Any, ClassVar, Protocol, TypeVar, cast

from xmir_cli.causes import Cause
from xmir_cli.errors import DataError, ItemError
from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.records import LARGEST, Record

_KEY = "key"
_ROUNDING = 1e-3  # of vectors in half precision, more or less
_ANSWER, NO_ANSWER = "answer", "none"  # of a record without what its schema needs
CURVES = ("share of pixels", "similarity")  # the axes of most curves


class Shows(StrEnum):
    """Where a page drawn from records shows a key."""

    COLUMN = "column"  # in the table of its schema; an object's parts each in one of their own
    DETAIL = "detail"  # beside its record alone
    MADE = "made"  # among what made the record
    PICTURE = "picture"  # as the picture that the file holds
    ROWS = "rows"  # as more rows of the table, one for each part of the object
    NOTHING = "nothing"  # nowhere, or in its own way


@dataclass(frozen=True)
class Kind:
    """What values a key may have."""

    expected: str  # completes "expected ..."
    accepts: Callable[[object], bool]
    is_path: bool = False  # whether it names files, one or a list of them
    shows: Shows = Shows.COLUMN  # where a key says nothing else


@dataclass(frozen=True)
class Key:
    """A key as the table of schemas shows it."""

    kind: Kind
    meaning: str
    needed: bool  # a record without it cannot be used
    when: str  # empty: always there
    unless: str = ""  # another key, with which it is not needed
    shows: Shows = Shows.COLUMN
    chart: str = ""  # of the curve or the curves in it, where there are any
    axes: tuple[str, str] = CURVES  # what the chart's x and y are


@dataclass(frozen=True)
class Plot:
    """How a page draws the records of one schema together: a line a key, or a value of `by`."""

    x: str  # a key
    y: Sequence[str]  # keys; one where there is `by`
    by: str = ""  # a key; empty: a line a key
    names: str = ""  # a key that says what each x is called


class Schema(Protocol):
    """A view of one schema."""

    NAME: ClassVar[str]  # `xmir.NAME/1`
    WRITTEN_BY: ClassVar[str]

    @property
    def record(self) -> Record:
        """The whole record as it came."""


AnyView = TypeVar("AnyView")


def key(  # noqa: PLR0913 # as a dataclass's field
    kind: Kind,
    meaning: str,
    *,
    needed: bool = False,
    when: str = "",
    unless: str = "",
    default: object = None,
    shows: Shows | None = None,
    chart: str = "",
    axes: tuple[str, str] = CURVES,
) -> Any:  # noqa: ANN401 # the field's own annotation tells
    """A field of a schema; null counts as absent."""
    place = kind.shows if shows is None else shows
    own = Key(kind, meaning, needed, when, unless, Shows.NOTHING if chart else place, chart, axes)
    return field(default=default, metadata={_KEY: own})


def keys_of(schema: type[object]) -> dict[str, Key]:
    """The keys of a schema in their order, those of the stages before first."""
    return {each.name: each.metadata[_KEY] for each in _fields(schema)}


def until_stage(record: Record, stage: type[object], last: type[object]) -> Record:
    """The record without what the stages after `stage`, up to `last`, have added to it."""
    added = keys_of(last).keys() - keys_of(stage).keys()
    return {name: value for name, value in record.items() if name not in added}


def read_view(schema: type[AnyView], record: Record) -> AnyView:
    """The record as the schema sees it.

    Raises ItemError with the code `bad-record`, the key, what was expected and what was found.
    """
    values: dict[str, object] = {}
    for each in _fields(schema):
        own: Key = each.metadata[_KEY]
        value = record.get(each.name)
        if value is None and (not own.needed or record.get(own.unless) is not None):
            continue
        if value is None and record.get(_ANSWER) == NO_ANSWER:
            raise ItemError(Cause.NO_ANSWER, str(record.get("remark", "no retrieved image"))[:300])
        if not own.kind.accepts(value):
            found = name_kind(value, own.kind)
            raise ItemError(
                Cause.BAD_RECORD, f"{each.name}: expected {own.kind.expected}, found {found}"
            )
        values[each.name] = _read_model(value) if own.kind is MODEL else value
    return cast("Callable[..., AnyView]", schema)(record=record, **values)


def _read_model(value: object) -> ModelSpec:
    try:
        return ModelSpec.from_json(value, "record")
    except DataError as error:
        raise ItemError(Cause.BAD_RECORD, str(error).removeprefix("record: ")) from None


def name_kind(value: object, kind: Kind | None = None) -> str:
    """What was found in place of what was expected, without quoting more than a word of it."""
    if value is None:
        return "nothing"
    if isinstance(value, str) and kind is not None and " or " in kind.expected:
        return repr(value[:40])
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:.6g}" if _is_number(value) else "no number of 64 bits"
    return "a string" if isinstance(value, str) else _name_container(value)


def _name_container(value: object) -> str:
    return "a list" if isinstance(value, list | tuple) else "an object"


def _fields(schema: type[object]) -> Iterator[Field[object]]:
    return (each for each in fields(cast("Any", schema)) if _KEY in each.metadata)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_number(value: object) -> bool:
    """Whether it is one that a float can hold; comparing also sorts out NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -sys.float_info.max <= value <= sys.float_info.max


def _is_number_within(least: float, most: float) -> Callable[[object], bool]:
    """Whether it is one of these, or one beyond them by no more than rounding."""
    return lambda value: (
        isinstance(value, int | float)
        and _is_number(value)
        and least - _ROUNDING <= value <= most + _ROUNDING
    )


def _is_whole_from(least: int) -> Callable[[object], bool]:
    return lambda value: isinstance(value, int) and _is_number(value) and value >= least


def _is_list_of(accepts: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list | tuple) and all(map(accepts, value))


def _is_box(value: object) -> bool:
    if not isinstance(value, list | tuple) or len(value) != 4:
        return False
    return all(_is_number(side) and abs(side) < LARGEST for side in value) and min(value[2:]) >= 0


def _is_size(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_number, value))


def _is_text_or_texts(value: object) -> bool:
    return _is_text(value) or _is_list_of(_is_text)(value)


def one_of(*values: str) -> Kind:
    """One of a few words."""
    return Kind(" or ".join(values), lambda value: value in values)


TEXT = Kind("a string", _is_text)
PATH = Kind("a string", _is_text, is_path=True)
PATHS = Kind("a string or strings", _is_text_or_texts, is_path=True)
TEXTS = Kind("strings", _is_list_of(_is_text))
NUMBER = Kind("a number", _is_number)
COSINE = Kind("a number from -1 to 1", _is_number_within(-1, 1))
SHARE = Kind("a number from 0 to 1", _is_number_within(0, 1))
WHOLE = Kind("a whole number from 0", _is_whole_from(0))
RANK = Kind("a whole number from 1", _is_whole_from(1))
NUMBERS = Kind("numbers", _is_list_of(_is_number), shows=Shows.DETAIL)
FLAG = Kind("true or false", lambda value: isinstance(value, bool))
BOX = Kind("a box of four numbers", _is_box, shows=Shows.DETAIL)
SIZE = Kind("width and height", _is_size, shows=Shows.DETAIL)
OBJECT = Kind("an object", lambda value: isinstance(value, Mapping))
SETTINGS = Kind("an object", lambda value: isinstance(value, Mapping), shows=Shows.MADE)
MODEL = Kind("an object", lambda value: isinstance(value, Mapping), shows=Shows.MADE)
