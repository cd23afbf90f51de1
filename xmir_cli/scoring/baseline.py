"""This run against an earlier one: the same things must not have become worse."""

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Protocol

from xmir_cli import console
from xmir_cli.errors import DataError
from xmir_cli.wire.records import Record

_WORST = 5  # regressions named


class Comparison(Protocol):
    """How the records of a command are compared."""

    @property
    def settings(self) -> tuple[str, ...]:
        """The settings that two runs share whose numbers are compared."""

    def compared_by(self, record: Record) -> dict[str, object]:
        """What those of a record were."""

    def goodness(self, record: Record) -> dict[str, float]:
        """The numbers that are compared, those of which less is better as their opposites."""


@dataclass(frozen=True)
class Regression:
    """A number that became worse than the tolerance allows, or cannot be had any more."""

    name: str  # of what it is of, for people
    message: str
    size: float  # how much worse; infinite when there is no number


class Baseline:
    """Earlier records of a command by what they are about, and what became worse since."""

    def __init__(
        self, records: Mapping[Hashable, Record], source: str, comparison: Comparison
    ) -> None:
        if not records:
            raise DataError(f"{source}: no records to compare with")
        self.records, self.source, self.comparison = records, source, comparison
        self.left = set(records)  # not met in this run yet
        self._regressions: list[Regression] = []

    def compare(
        self, key: Hashable, name: str, now: Record | None, tolerance: float
    ) -> Regression | None:
        """What of `name` became worse since the earlier record of the same key, or None.

        `now` is None when there is no record of it any more. Raises DataError when the earlier run
        had other settings.
        """
        before = self.records.get(key)
        self.left.discard(key)
        if before is None:
            return None
        found = self._compare(before, name, now, tolerance)
        if found is not None:
            self._regressions.append(found)
        return found

    def judge(self, what: str, tolerance: float) -> list[str]:
        """What became worse, in lines, the worst first; `what` is compared.

        Raises DataError where nothing could be compared.
        """
        left = len(self.left)
        compared = len(self.records) - left
        if not compared:
            raise DataError(f"{self.source}: has none of the records of this run")
        if left:
            console.note(f"{left} of {left + compared} records of {self.source} not met")
        worst = sorted(self._regressions, key=lambda each: -each.size)
        lines = [
            ": ".join(filter(None, ["worse than before", each.name, each.message]))
            for each in worst[:_WORST]
        ]
        if worst:
            lines.append(
                f"{len(worst)} of {compared} {what} are worse than in {self.source} "
                f"by more than {tolerance:g}"
            )
        return lines

    def _compare(
        self, before: Record, name: str, now: Record | None, tolerance: float
    ) -> Regression | None:
        if now is None:
            return Regression(name, "could not be scored any more", math.inf)
        self._refuse_other_settings(before, now)
        losses = self._losses(before, now)
        worst = max(losses, key=lambda loss: loss.size, default=None)
        if worst is None:
            raise DataError(f"{self.source}: has none of the numbers of this run")
        if worst.size <= tolerance:
            return None
        message = f"{worst.measure} {_say(worst.before)} -> {_say(worst.now)}"
        return Regression(name, message, worst.size)

    def _refuse_other_settings(self, before: Record, now: Record) -> None:
        old, new = map(self.comparison.compared_by, (before, now))
        settings = ", ".join(f"`{name}`" for name in self.comparison.settings)
        for name in new:
            if old.get(name) != new[name]:
                raise DataError(
                    f"{self.source}: scored with {name} {old.get(name)}, this run has {new[name]}",
                    f"Compare runs of the same {settings}.",
                )

    def _losses(self, before: Record, now: Record) -> "list[_Loss]":
        old, new = map(self.comparison.goodness, (before, now))
        losses = []
        for measure, good in new.items():
            if measure not in old:
                continue
            loss = old[measure] - good if old[measure] != good else 0.0
            size = math.inf if math.isnan(loss) else loss
            losses.append(_Loss(measure, _at(before, measure), _at(now, measure), size))
        gone = [name for name in old if name not in new and now.get(name, 0) is None]
        return losses + [_Loss(measure, before[measure], None, math.inf) for measure in gone]


@dataclass(frozen=True)
class _Loss:
    measure: str
    before: object
    now: object
    size: float


def number(value: object) -> float:
    """The number, NaN for everything else."""
    return float(value) if isinstance(value, int | float) else math.nan


def _at(record: object, name: str) -> object:
    """The value of a name whose dots reach into objects."""
    for part in name.split("."):
        record = record.get(part) if isinstance(record, Mapping) else None
    return record


def _say(value: object) -> str:
    return f"{number(value):.4f}"
