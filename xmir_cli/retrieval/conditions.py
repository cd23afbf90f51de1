"""What a query may find."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from xmir_cli import console
from xmir_cli.arrays import Booleans
from xmir_cli.errors import SettingError
from xmir_cli.gallery.protocol import Conditions, Gallery, ItemKey
from xmir_cli.guesses import near_hint
from xmir_cli.retrieval.queries import Question
from xmir_cli.store.where import Condition, holds, say_none
from xmir_cli.wire.records import Record


def make_conditions(
    where: Sequence[Condition], exclude_same: str | None, no_self: bool, per: str | None
) -> Conditions:
    """The conditions; raises SettingError for a `per` that is not as `patient=1`."""
    return Conditions(
        where=tuple(where),
        not_itself=no_self or exclude_same is not None,
        not_same=() if exclude_same is None else (exclude_same,),
        at_most=None if per is None else _limit(per),
    )


def tell_conditions(conditions: Conditions) -> Record:
    """Those that were set, as records tell them: the same for the same, however they were typed.

    What has a query's value in a column is never the query itself, which is not told then.
    """
    told: Record = {"where": sorted({str(each) for each in conditions.where})}
    told["exclude_same"] = next(iter(conditions.not_same), None)
    told["no_self"] = conditions.not_itself and not conditions.not_same
    column, count = conditions.at_most or ("", 0)
    told["per"] = column and f"{column}={count}"
    return {name: value for name, value in told.items() if value}


def check_columns(gallery: Gallery, conditions: Conditions) -> None:
    """Raise SettingError for a condition on a column that the items do not have.

    Says which values there are when no item is as `where` says.
    """
    named = [("where", condition.column) for condition in conditions.where]
    named += [("exclude_same", column) for column in conditions.not_same]
    named += [] if conditions.at_most is None else [("per", conditions.at_most[0])]
    for setting, column in named:
        check_column(gallery.column_names, column, setting)
    if conditions.where and not gallery.count(Conditions(where=conditions.where)):
        values = [gallery.distinct(condition.column) for condition in conditions.where]
        console.warning(say_none(len(gallery), conditions.where, values))


def allowed_by(table: pa.Table, where: Sequence[Condition]) -> Booleans:
    """Which rows [N] of a table are as all conditions say; raises SettingError as `holds` does."""
    allowed = np.ones(len(table), dtype=bool)
    for condition in where:
        check_column(table.column_names, condition.column, "where")
        allowed &= holds(table[condition.column], condition)
    return allowed


def say_nothing(table: pa.Table, where: Sequence[Condition]) -> str:
    """That no row is as all conditions say, and which values there are."""
    return say_none(len(table), where, [table[condition.column] for condition in where])


def check_column(names: Sequence[str], column: str, setting: str) -> None:
    """Raise SettingError, naming the columns there are, when it is none of them."""
    if column not in names:
        there = f"no column {column!r}; there are {', '.join(names)}"
        raise SettingError(setting, there, near_hint(column, names))


def warn_of_nobody(column: str, queries: Sequence[object], items: Iterable[object]) -> str | None:
    """What is to be said where leaving out what has a query's value leaves out nothing.

    `queries` and `items` are their values in the column; None and the empty text are none. None
    where every query has a value and an item has.
    """
    without = sum(value in (None, "") for value in queries)
    if queries and without == len(queries):
        return f"no query has a {column}: nothing but the query itself was left out"
    if all(value in (None, "") for value in items):
        return f"no image of the gallery has a {column}: nothing but the query itself was left out"
    if without:
        return (
            f"{without} of {len(queries)} queries have no {column}: "
            "nothing but the query itself was left out for them"
        )
    return None


def list_values(gallery: Gallery, column: str) -> Iterator[object]:
    """The items' values in a column, each once, read when they are asked for."""
    yield from gallery.distinct(column).to_pylist()


def leave_out(gallery: Gallery, conditions: Conditions, examples: Sequence[Question]) -> Conditions:
    """The conditions, under which no item that is one of the examples is found by anything."""
    found = frozenset(key for example in examples for key in _items_of(gallery, example))
    return replace(conditions, without=conditions.without | found)


def _items_of(gallery: Gallery, query: Question) -> Iterator[ItemKey]:
    """The items that are the query itself: with its id, its path or its identity."""
    name, path = (str(query.columns.get(column) or "") for column in ("id", "path"))
    yield from (key for key in gallery.by_id([name]) if key is not None)
    for keys in (*gallery.by_path([path]), *gallery.by_identity([query.identity or ""])):
        yield from keys


def _limit(per: str) -> tuple[str, int]:
    column, _, limit = per.rpartition("=")
    if not column or not limit.isdecimal() or int(limit) < 1:
        raise SettingError("per", "expected COLUMN=COUNT", "For example `per` patient=1.", per)
    return column, int(limit)
