"""Conditions on the columns of a table: `label=normal`, `age>60`, `split!=test`."""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Literal, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xmir_cli.arrays import Booleans
from xmir_cli.errors import SettingError
from xmir_cli.labels import LABEL, parse_labels
from xmir_cli.store.cells import guess_numbers, is_text
from xmir_cli.store.names import escape_typed

Operator = Literal["=", "!=", ">=", "<=", ">", "<"]

_CONDITION = re.compile(r"(.+?)(!=|>=|<=|=|>|<)(.*)", re.DOTALL)
_SHOWN = 10  # values of a column that a message names
_COMPARE: dict[str, Callable[..., pa.ChunkedArray]] = {
    "=": pc.equal,
    "!=": pc.not_equal,
    ">=": pc.greater_equal,
    "<=": pc.less_equal,
    ">": pc.greater,
    "<": pc.less,
}


@dataclass(frozen=True)
class Condition:
    """What a row must have in a column; with `=` and `!=` the empty value is nothing.

    Numbers compare as numbers, dates as dates, all else as texts; in order, so do texts that are
    all of them numbers or dates. A time without an offset is one of the column's zone. Nothing is
    neither larger than anything nor different from it. `label=A` has the label A, perhaps beside
    others; `label=A|B` has both.
    """

    column: str
    operator: Operator
    value: str

    def __str__(self) -> str:
        return f"{self.column}{self.operator}{self.value}"


def parse_where(where: Sequence[str] | None) -> list[Condition]:
    """Conditions as they are typed; raises SettingError where there is no operator."""
    found = []
    for text in where or []:
        match = _CONDITION.fullmatch(text)
        if match is None:
            raise SettingError("where", f"expected COLUMN=VALUE, found {text}")
        column, operator, value = match.groups()
        spaced = column != column.rstrip()  # `age > 60`
        found.append(
            Condition(
                column.strip(), cast("Operator", operator), value.strip() if spaced else value
            )
        )
    return found


def holds(column: pa.ChunkedArray | pa.Array, condition: Condition) -> Booleans:
    """Where the condition holds in the column [N].

    Raises SettingError for an order among texts, or a bound that is none.
    """
    if pa.types.is_boolean(column.type):
        condition = replace(condition, value=condition.value.lower())
    column = _decoded(column)
    column = _signed(column, condition)
    filled = _is_filled(column)
    exact = condition.operator in {"=", "!="}
    if not exact:
        column = _ordered(column)
    if not condition.value and exact:
        return ~filled if condition.operator == "=" else filled
    wanted = parse_labels(condition.value) if condition.column == LABEL else frozenset()
    if wanted and exact and is_text(column.type):
        return _has_labels(column, condition)
    bound = _bound(column, condition)
    if bound is None:
        return filled if condition.operator == "!=" else np.zeros(len(column), dtype=bool)
    if isinstance(bound, int | float) and not (
        isinstance(bound, int) and pa.types.is_integer(column.type)
    ):
        column, bound = pc.cast(column, pa.float64(), safe=False), float(bound)
    same = _COMPARE[condition.operator](column, bound)
    return np.asarray(pc.fill_null(same, False).to_numpy(zero_copy_only=False), bool) & filled


def _has_labels(column: pa.ChunkedArray | pa.Array, condition: Condition) -> Booleans:
    """Where the column [N] holds all labels of the condition, or labels but not all of these."""
    wanted, equal = parse_labels(escape_typed(condition.value)), condition.operator == "="
    chosen = [
        text
        for text in pc.unique(column).to_pylist()
        if (labels := parse_labels(text)) and (wanted <= labels) == equal
    ]
    found = pc.is_in(column, value_set=pa.array(chosen, column.type))
    return np.asarray(found.to_numpy(zero_copy_only=False), bool)


def read_ordered(column: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    """The column as numbers or dates, also where all of its texts are such; else as texts."""
    return _ordered(_decoded(column))


def say_none(count: int, conditions: Sequence[Condition], columns: Sequence[pa.Array]) -> str:
    """That none of so many rows is as all conditions say, and which values there are."""
    wanted = " and ".join(map(str, conditions))
    values = {
        condition.column: _list_values(column)
        for condition, column in zip(conditions, columns, strict=True)
    }
    there = ", ".join(f"{name} holds {listed}" for name, listed in values.items())
    return f"none of {count} images has {wanted}; {there}"


def _decoded(column: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    """The column as one of few types: numbers, dates, texts."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return pc.cast(column, kind.value_type)
    ordered = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, _is_day)
    return column if any(check(kind) for check in ordered) else pc.cast(column, pa.string())


def _ordered(column: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    """Texts as the numbers or the dates that all of them are."""
    if is_text(column.type):
        texts = [text or None for text in column.to_pylist()]
        numbers = guess_numbers(texts)
        if numbers is not texts:
            return pa.array(numbers)
        if any(texts):
            with suppress(pa.ArrowInvalid):
                return pc.cast(pa.array(texts, pa.string()), pa.timestamp("us"))
    return column


def _signed(column: pa.ChunkedArray | pa.Array, condition: Condition) -> pa.ChunkedArray | pa.Array:
    """Numbers that may be beyond 2^63 as whole ones, else as texts to be equal, floats in order."""
    if column.type != pa.uint64():
        return column
    with suppress(pa.ArrowInvalid):
        return pc.cast(column, pa.int64())
    if condition.operator in {"=", "!="}:
        return pc.cast(column, pa.string())
    return pc.cast(column, pa.float64(), safe=False)


def _is_day(kind: pa.DataType) -> bool:
    return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))


def _is_filled(column: pa.ChunkedArray | pa.Array) -> Booleans:
    filled = pc.is_valid(column)
    if is_text(column.type):
        filled = pc.and_(filled, pc.fill_null(pc.not_equal(column, ""), False))
    elif pa.types.is_floating(column.type):
        filled = pc.and_(filled, pc.invert(pc.fill_null(pc.is_nan(column), False)))
    return np.asarray(filled.to_numpy(zero_copy_only=False), bool)


def _bound(column: pa.Array, condition: Condition) -> object:
    """The condition's value as the column's type has it; None where no cell can be equal to it."""
    kind, exact = column.type, condition.operator in {"=", "!="}
    if is_text(kind):
        if exact:
            return pa.scalar(escape_typed(condition.value), kind)
        texts = list(filter(None, column.to_pylist()))
        odd = (each for each in texts if is_text(_ordered(pa.array([each])).type))
        example = next(odd, texts[0] if texts else None)
        holding = "holds nothing" if example is None else f"holds texts, such as {example}"
        raise SettingError(
            "where",
            f"{condition.column} {holding}; {condition.operator} compares numbers and dates",
            value=str(condition),
        )
    is_day = _is_day(kind)
    try:
        found = _day(kind, condition.value) if is_day else _number(condition.value)
    except (ValueError, InvalidOperation):
        if exact:
            return None
        expected = "a date as 2024-12-31" if is_day else "a number"
        raise SettingError(
            "where",
            f"{condition.column} holds {'dates' if is_day else 'numbers'}: expected {expected}, "
            f"found {condition.value or 'nothing'}",
            value=str(condition),
        ) from None
    return found


def _number(text: str) -> int | float:
    number = Decimal(text.strip())
    if not number.is_finite():
        raise ValueError(text)
    whole = number == number.to_integral_value() and abs(number) < 2**63
    return int(number) if whole else float(number)


def _day(kind: pa.DataType, text: str) -> pa.Scalar:
    if pa.types.is_date(kind):
        return pa.scalar(date.fromisoformat(text.strip()), pa.date32()).cast(kind)
    moment = datetime.fromisoformat(text.strip())
    if moment.tzinfo is not None:
        if kind.tz is None:
            raise ValueError(text)
        return pa.scalar(moment, kind)
    plain = pa.scalar(moment, pa.timestamp("us"))
    return (plain if kind.tz is None else pc.assume_timezone(plain, kind.tz)).cast(kind)


def _list_values(column: pa.ChunkedArray | pa.Array) -> str:
    """The values of a column for people: the extremes of numbers, else the first in order."""
    values = _decoded(column)
    distinct = {value for value in values.to_pylist() if value is not None and value != ""}
    distinct = {value for value in distinct if value == value}  # NaN is not
    if not distinct:
        return "nothing"
    ordered = sorted(distinct)
    if not is_text(values.type) and len(ordered) > _SHOWN:
        return f"{ordered[0]} to {ordered[-1]}"
    more = f" and {len(ordered) - _SHOWN} more" if len(ordered) > _SHOWN else ""
    return ", ".join(map(str, ordered[:_SHOWN])) + more
