"""What the columns of a table hold, read a piece at a time."""

from collections import Counter
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from xmir_cli.labels import LABEL
from xmir_cli.store.cells import clean_texts, is_flat, to_plain
from xmir_cli.store.counts import show_counts, split_labels
from xmir_cli.wire.records import Record

_ALWAYS = (LABEL, "split")  # their values are counted however many there are
_PATIENT = "patient"
_OWN = frozenset({"id", "path", "sha256"})  # each image has another one
_MOST = 1000  # different values of other columns that are counted


def pick_columns(schema: pa.Schema) -> list[str]:
    """The columns of which `describe_columns` can say something."""
    return [field.name for field in schema if field.name not in _OWN and is_flat(field.type)]


def describe_columns(pieces: Iterable[pa.Table]) -> Record:
    """What is in the columns that `pick_columns` names, of tables that follow each other.

    Returns:
        `label` and `split`: rows by value, `-` for none; a row of several labels counts for each,
        and `several_labels` says how many such there are. `patients`: how many there are. `labels`:
        rows by value of each other column of texts or truths whose values recur. `ranges`: minimum,
        maximum and mean of each column of numbers, the first and the last of dates.
        `missing_values`: rows without a value by column. Only what there is.
    """
    tallies: dict[str, _Tally] = {}
    for piece in pieces:
        for name in piece.column_names:
            tallies.setdefault(name, _Tally(name)).add(piece[name])
    record: Record = {
        name: show_counts(tallies[name].with_missing) for name in _ALWAYS if name in tallies
    }
    if LABEL in tallies and tallies[LABEL].several:
        record["several_labels"] = tallies[LABEL].several
    if _PATIENT in tallies and tallies[_PATIENT].count:
        record["patients"] = tallies[_PATIENT].distinct
    others = [tally for name, tally in tallies.items() if name not in {*_ALWAYS, _PATIENT}]
    parts = {
        "labels": {each.name: show_counts(each.with_missing) for each in others if each.recurs},
        "ranges": {each.name: each.range for each in others if each.range},
        "missing_values": {name: each.missing for name, each in tallies.items() if each.missing},
    }
    return record | {name: part for name, part in parts.items() if part}


class _Tally:
    """What was counted of a column so far."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = self.missing = 0  # rows with a value, and without
        self.several = 0  # rows with more than one label
        self.range: Record = {}
        self._measured = 0  # finite numbers
        self._values: Counter[str] | None = Counter()  # None once there are too many
        self._each: list[pa.Array] = []  # the different values of each piece, of patients

    def add(self, column: pa.ChunkedArray) -> None:
        """Count some rows."""
        column = clean_texts(to_plain(column))
        found = column.drop_null()
        self.missing += len(column) - len(found)
        if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
            self._date(found)
        elif _is_number(column.type):
            self._measure(pc.cast(found, pa.float64(), safe=False))
        elif self.name == _PATIENT:
            self._each.append(found.unique())
        elif self._values is not None:
            self._tally(pc.value_counts(found))
        self.count += len(found)

    @property
    def distinct(self) -> int:
        """How many different values there are, of patients."""
        if not self._each:
            return 0
        return int(pc.count_distinct(pa.chunked_array(self._each)).as_py())

    @property
    def recurs(self) -> bool:
        """Whether the values are few, and at least one of them is there twice."""
        return bool(self._values) and len(self._values or ()) < self.count

    @property
    def with_missing(self) -> Counter[str]:
        """Rows by value, `-` for none."""
        return (self._values or Counter()) + Counter({"-": self.missing})

    def _tally(self, counted: pa.Array) -> None:
        if self._values is None:
            return
        if self.name in _ALWAYS or len(counted) <= _MOST:
            counts: Counter[str] = Counter()
            for each in counted.to_pylist():
                counts[_text(each["values"])] += each["counts"]
            if self.name == LABEL:
                counts, several = split_labels(counts)
                self.several += several
            self._values.update(counts)
        if self.name not in _ALWAYS and max(len(counted), len(self._values)) > _MOST:
            self._values = None

    def _date(self, dates: pa.ChunkedArray) -> None:
        if not len(dates):
            return
        ends = pc.min_max(dates)
        low, high = (str(ends[name].as_py()) for name in ("min", "max"))
        before = self.range or {"minimum": low, "maximum": high}
        self.range = {
            "minimum": min(low, str(before["minimum"])),
            "maximum": max(high, str(before["maximum"])),
        }

    def _measure(self, numbers: pa.ChunkedArray) -> None:
        numbers = numbers.filter(pc.is_finite(numbers))
        if not len(numbers):
            return
        low, high = (pc.min_max(numbers)[name].as_py() for name in ("min", "max"))
        mean = pc.mean(numbers).as_py()
        before = self.range or {"minimum": low, "maximum": high, "mean": mean}
        self._measured += len(numbers)
        share = len(numbers) / self._measured
        self.range = {
            "minimum": min(low, before["minimum"]),
            "maximum": max(high, before["maximum"]),
            "mean": before["mean"] + (mean - before["mean"]) * share,
        }


def _is_number(kind: pa.DataType) -> bool:
    checks = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    return any(check(kind) for check in checks)


def _text(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
