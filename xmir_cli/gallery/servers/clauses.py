"""Conditions as clauses that a server can hold to: a value is one of some, or none of them.

What a condition means is said by `store/where.py` and `labels.py`, which are asked here about each
value of a column once. So a server answers as a folder does, whatever its own comparisons are.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from xmir_cli.gallery.protocol import Conditions, SearchQuery
from xmir_cli.gallery.servers.columns import ROW, KeptColumn, Native
from xmir_cli.labels import LABEL, share_label
from xmir_cli.pictures.identity import identity_of, split_name
from xmir_cli.store.cells import is_text, plain_text
from xmir_cli.store.names import escape_typed
from xmir_cli.store.where import Condition, holds


@dataclass(frozen=True)
class Clause:
    """That an item's value is one of these, or (`within` is False) none of these."""

    stored: str  # the column's name on the server
    values: tuple[Native, ...]
    nothing: bool = False  # whether no value counts as one of them
    within: bool = True


Distinct = Callable[[KeptColumn], Sequence[Native | None]]  # the values of a column, each once
RowsWith = Callable[[KeptColumn, Sequence[Native]], list[tuple[int, Mapping[str, object]]]]


@dataclass(frozen=True)
class Clauses:
    """What conditions come to on a server that keeps these columns, by their names."""

    columns: Mapping[str, KeptColumn]
    distinct: Distinct
    rows_with: RowsWith

    def of_all(self, conditions: Conditions) -> list[Clause]:
        """The conditions that know of no query."""
        found = [clause for condition in conditions.where for clause in self._where(condition)]
        if conditions.other_labels:
            labels = conditions.other_labels
            found.append(self._labels(lambda text: share_label(text, labels) is False))
        if conditions.without:
            rows = sorted(cast("int", key) for key in conditions.without)
            found.append(Clause(ROW, tuple(rows), within=False))
        return found

    def of_each(self, conditions: Conditions, queries: Sequence[SearchQuery]) -> list[list[Clause]]:
        """For each query what it may not find, whatever others may."""
        columns = [*(("id", "path") if conditions.not_itself else ()), *conditions.not_same]
        images = [query.identity or "" for query in queries] if conditions.not_itself else []
        own = self.images(images)
        found = []
        for place, query in enumerate(queries):
            clauses = [self._not_same(column, query.columns.get(column)) for column in columns]
            if images and own[place]:
                clauses.append(Clause(ROW, tuple(own[place]), within=False))
            found.append([clause for clause in clauses if clause is not None])
        return found

    def images(self, identities: Sequence[str]) -> list[list[int]]:
        """The rows of each image, in order; none of no image."""
        files = {name: split_name(name)[0] for name in identities if name}
        if not files:
            return [[] for _ in identities]
        rows: dict[str, list[int]] = {}
        for row, item in self.rows_with(self.columns["sha256"], sorted(set(files.values()))):
            identity = identity_of(str(item["sha256"]), str(item["path"]))
            rows.setdefault(identity, []).append(row)
        return [sorted(rows.get(name, [])) if name else [] for name in identities]

    def _where(self, condition: Condition) -> Iterable[Clause]:
        column = self.columns[condition.column]
        if self._is_plain(condition):
            value = escape_typed(condition.value)
            return [
                Clause(column.stored, (value,))
                if condition.operator == "="
                else Clause(column.stored, (value, ""), nothing=True, within=False)
            ]
        values = self.distinct(column)
        fits = holds(column.decode(values), condition).tolist()
        return [_choose(column, values, fits)]

    def _is_plain(self, condition: Condition) -> bool:
        """Whether texts are compared with a text, bit for bit."""
        text = is_text(self.columns[condition.column].type) and condition.column != LABEL
        return text and bool(condition.value) and condition.operator in {"=", "!="}

    def _labels(self, fits: Callable[[object], bool]) -> Clause:
        column = self.columns[LABEL]
        values = self.distinct(column)
        return _choose(column, values, [value is not None and fits(value) for value in values])

    def _not_same(self, name: str, value: object) -> Clause | None:
        """That an item has not the query's value; None where the query has none."""
        column = self.columns[name]
        if name == LABEL:
            return _invert(self._labels(lambda text: share_label(value, text) is True))
        text = "" if value is None else plain_text(value)
        kept = column.having(text) if text else None
        return None if kept is None else Clause(column.stored, (kept,), within=False)


def full(column: KeptColumn, values: Sequence[Native]) -> Clause:
    """That an item has none of these values, of each of which there are enough."""
    return Clause(column.stored, tuple(values), within=False)


def _choose(column: KeptColumn, values: Sequence[Native | None], fits: Sequence[bool]) -> Clause:
    """The values that fit, or all but those that do not: whichever are fewer."""
    chosen = [value for value, fit in zip(values, fits, strict=True) if fit]
    rest = [value for value, fit in zip(values, fits, strict=True) if not fit]
    within = len(chosen) <= len(rest)
    listed = chosen if within else rest
    there = tuple(value for value in listed if value is not None)
    return Clause(column.stored, there, len(there) < len(listed), within)


def _invert(clause: Clause) -> Clause:
    return Clause(clause.stored, clause.values, clause.nothing, not clause.within)
