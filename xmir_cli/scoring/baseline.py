"""This run against an earlier one: the same maps must not have become worse."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from xmir_cli.errors import DataError, ItemError
from xmir_cli.records import CAUSAL, Record
from xmir_cli.scoring.names import MEASURES

Key = tuple[str, str, str, str, int]  # query, retrieved, method, explains, which of equal ones

# of another network the numbers are compared: that is what a baseline is for
_MAY_DIFFER = {"weights_sha256", "fill"}


@dataclass(frozen=True)
class Regression:
    """A number that became worse than the tolerance allows, or cannot be had any more."""

    key: Key
    message: str
    size: float  # how much worse; infinite when there is no number


class Baseline:
    """Earlier records of causal-metric by what they are about."""

    def __init__(self, lines: Iterable[tuple[int, Record | ItemError]], source: str) -> None:
        self.source = source
        self.records: dict[Key, Record] = {}
        keys = Keys()
        for number, line in lines:
            if isinstance(line, ItemError) or line.get("schema") != CAUSAL:
                raise DataError(f"{source}: line {number}: expected a record of causal-metric")
            self.records[keys.of(line)] = line
        if not self.records:
            raise DataError(f"{source}: no records to compare with")
        self.left = set(self.records)  # not met in this run yet

    def compare(self, key: Key, now: Record | None, tolerance: float) -> Regression | None:
        """What became worse since the earlier record of the same key; None when nothing did.

        `now` is None when the map could not be scored. Raises DataError when the earlier run had
        other parameters.
        """
        before = self.records.get(key)
        self.left.discard(key)
        if before is None:
            return None
        if now is None:
            return Regression(key, "could not be scored any more", math.inf)
        self._refuse_other_parameters(before, now)
        worst = max(_losses(before, now), key=lambda loss: loss.size)
        if worst.size <= tolerance:
            return None
        message = f"{worst.measure} {worst.before:.4f} -> {worst.now:.4f}"
        return Regression(key, message, worst.size)

    def _refuse_other_parameters(self, before: Record, now: Record) -> None:
        old, new = _parameters(before), _parameters(now)
        for name in new:
            if old.get(name) != new[name]:
                raise DataError(
                    f"{self.source}: scored with {name} {old.get(name)}, this run has {new[name]}",
                    "Compare runs of the same --preset, --steps, --substrate, --order, --ties.",
                )


class Keys:
    """Names records by what they are about; equal ones are numbered in their order."""

    def __init__(self) -> None:
        self._seen: Counter[tuple[str, str, str, str]] = Counter()

    def of(self, record: Record) -> Key:
        """The key of the next record."""
        names = ("query", "retrieved", "method", "explains")
        query, retrieved, method, explains = (str(record.get(name, "")) for name in names)
        self._seen[query, retrieved, method, explains] += 1
        return query, retrieved, method, explains, self._seen[query, retrieved, method, explains]


@dataclass(frozen=True)
class _Loss:
    measure: str
    before: float
    now: float
    size: float


def _losses(before: Record, now: Record) -> list[_Loss]:
    order = -1 if _parameters(now).get("order") == "lerf" else 1
    losses = []
    for measure, better in zip(MEASURES, (order, -order), strict=True):
        old, new = _number(before.get(measure)), _number(now.get(measure))
        size = better * (old - new)
        losses.append(_Loss(measure, old, new, math.inf if math.isnan(size) else size))
    return losses


def _number(value: object) -> float:
    """The number, NaN for everything else."""
    return float(value) if isinstance(value, int | float) else math.nan


def _parameters(record: Record) -> dict[str, object]:
    found = record.get("causal")
    items = found.items() if isinstance(found, Mapping) else ()
    return {name: value for name, value in items if name not in _MAY_DIFFER}
