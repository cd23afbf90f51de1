"""Which of the images that were named are meant, and what is odd about their labels."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from itertools import compress
from typing import Protocol, TypeVar

import numpy as np

from xmir_cli import console
from xmir_cli.errors import DataError, SettingError
from xmir_cli.guesses import near_hint
from xmir_cli.labels import parse_labels
from xmir_cli.store.cells import Cell, to_column
from xmir_cli.store.where import Condition, holds, say_none

_WORDS = {"na", "n/a", "none", "null", "#n/a", "nil"}  # that other programs write for nothing


class _Row(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def columns(self) -> Mapping[str, Cell | None]: ...


AnyRow = TypeVar("AnyRow", bound=_Row)


def select_items(items: Sequence[AnyRow], wanted: Sequence[Condition]) -> list[AnyRow]:
    """The items for which all conditions hold.

    Raises SettingError for a column that none has, DataError when nothing is left.
    """
    known = dict.fromkeys(name for item in items for name in ("id", *item.columns))
    columns, kept = [], np.ones(len(items), dtype=bool)
    for condition in wanted:
        name = condition.column
        if name not in known:
            there = f"no column {name!r}; there are {', '.join(known)}"
            raise SettingError("where", there, near_hint(name, known))
        values = [item.id if name == "id" else item.columns.get(name) for item in items]
        columns.append(to_column(values))
        kept &= holds(columns[-1], condition)
    if not kept.any():
        raise DataError(say_none(len(items), wanted, columns))
    return list(compress(items, kept))


def say_alike_labels(labels: Iterable[str | None]) -> None:
    """Say which labels look alike and are two classes all the same, and which mean nothing."""
    alike: dict[str, list[str]] = {}
    for label in sorted({each for text in set(labels) for each in parse_labels(text)}):
        alike.setdefault(_look(label), []).append(label)
        if label.casefold() in _WORDS:
            console.warning(f"{label!r} counts as a label; where there is none, leave it empty")
    for names in alike.values():
        if len(names) > 1:
            listed = " and ".join(map(repr, names))
            console.warning(f"the labels {listed} look alike, and are {len(names)} classes")


def _look(label: str) -> str:
    """What is equal for labels that people take for the same: in capitals, spaces, form; 1, 1.0."""
    seen = "".join(each for each in label if unicodedata.category(each) != "Cf")
    look = " ".join(unicodedata.normalize("NFKC", seen).casefold().split())
    try:
        return str(float(look))
    except ValueError:
        return look
