"""What a query may find."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from xmir_cli.errors import SettingError
from xmir_cli.gallery.protocol import Conditions, Gallery, ItemKey
from xmir_cli.retrieval.queries import Question
from xmir_cli.store.names import escape_typed


def make_conditions(
    where: Sequence[tuple[str, str]], exclude_same: str | None, no_self: bool, per: str | None
) -> Conditions:
    """The conditions; raises SettingError for a `per` that is not as `patient=1`."""
    return Conditions(
        equals=tuple((column, escape_typed(value)) for column, value in where),
        not_itself=no_self or exclude_same is not None,
        not_same=() if exclude_same is None else (exclude_same,),
        at_most=None if per is None else _limit(per),
    )


def check_columns(gallery: Gallery, conditions: Conditions) -> None:
    """Raise SettingError for a condition on a column that the items do not have."""
    named = [("where", column) for column, _ in conditions.equals]
    named += [("exclude_same", column) for column in conditions.not_same]
    named += [] if conditions.at_most is None else [("per", conditions.at_most[0])]
    for setting, column in named:
        check_column(gallery.column_names, column, setting)


def check_column(names: Sequence[str], column: str, setting: str) -> None:
    """Raise SettingError, naming the columns there are, when it is none of them."""
    if column not in names:
        raise SettingError(setting, f"no column {column!r}; there are {', '.join(names)}")


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
