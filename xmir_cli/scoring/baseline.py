"""This run against an earlier one: the same things must not have become worse."""

import math
from collections import Counter
from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn, Protocol

from xmir_cli import console
from xmir_cli.errors import DataError, ItemError
from xmir_cli.scoring.numbers import list_gone, name_numbers, number
from xmir_cli.wire.records import Record

_WORST = 5  # regressions, and numbers that are missing, that are named
_SHOWN = 40  # characters of a schema that is none
_OF_RECORDS = {"asked_old", "asked_new", "scoring"}  # what settings of other commands have made
MISSING = "not met in this run"
AGAIN = "It was made by an earlier xmir, or changed since: make the baseline again."


class Comparison(Protocol):
    """How the records of a command are compared."""

    @property
    def settings(self) -> tuple[str, ...]:
        """The settings that two runs share whose numbers are compared."""

    @property
    def matched(self) -> str:
        """How records are known again, as a hint."""

    def compared_by(self, record: Record) -> dict[str, object]:
        """What those settings of a record were."""

    def found(self, record: Record) -> Record:
        """The parts of a record that hold its numbers."""

    def list_changes(self, before: Record, now: Record) -> Iterator[str]:
        """What else changed, of which a user should know."""

    def goodness(self, record: Record) -> dict[str, float]:
        """The numbers that are compared, those of which less is better as their opposites."""


@dataclass(frozen=True)
class Regression:
    """A number that became worse than the tolerance allows, or cannot be had any more."""

    name: str  # of what it is of, for people
    message: str
    size: float  # how much worse; infinite when there is no number


@dataclass(frozen=True)
class SinceBaseline:
    """What came of a record that the earlier run has, too."""

    worse: str = ""  # a number that became worse, and by how much
    missing: tuple[str, ...] = ()  # the names of numbers that it has no more


class Baseline:
    """Earlier records of a command by what they are about, and what became worse since."""

    def __init__(
        self, records: Mapping[Hashable, Record], source: str, comparison: Comparison
    ) -> None:
        if not records:
            raise DataError(f"{source}: no records to compare with")
        self.records, self.source, self.comparison = records, source, comparison
        self.left = set(records)  # not met in this run yet
        self._new = 0  # records of this run that the earlier one has not
        self._regressions: list[Regression] = []
        self._missing: Counter[str] = Counter()  # records that have a number no more
        self._changes: dict[str, None] = {}  # in their order

    def compare(
        self, key: Hashable, name: str, now: Record | None, tolerance: float
    ) -> SinceBaseline:
        """What of `name` became worse, or is missing, since the earlier record of the same key.

        `now` is None when there is no record of it any more. Raises DataError when the earlier run
        had other settings.
        """
        before = self.records.get(key)
        self.left.discard(key)
        if before is None:
            self._new += 1
            return SinceBaseline()
        found = self._compare(before, name, now, tolerance)
        if found is not None:
            self._regressions.append(found)
        worse = "" if found is None else found.message
        return SinceBaseline(worse, () if now is None else self._list_missing(before, now))

    def judge(self, what: str, tolerance: float) -> list[str]:
        """What became worse, in lines, the worst first; `what` is compared.

        Notes say what is missing. Raises DataError where nothing could be compared.
        """
        left = len(self.left)
        compared = len(self.records) - left
        if not compared:
            raise DataError(
                f"{self.source}: has none of the records of this run", self.comparison.matched
            )
        if left:
            console.note(f"{left} of {left + compared} records of {self.source} not met")
        if self._new:
            console.note(
                f"{self._new} of {self._new + compared} {what} are not in {self.source}, and were "
                "not compared"
            )
        if self._missing:
            named = sorted(self._missing, key=lambda name: "." not in name)  # labels first
            more = f" and {len(named) - _WORST} more" if named[_WORST:] else ""
            console.note(f"numbers of {self.source} not met: {', '.join(named[:_WORST])}{more}")
        for change in [*self._changes][:_WORST]:
            console.note(f"{self.source}: {change}")
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

    def _list_missing(self, before: Record, now: Record) -> tuple[str, ...]:
        self._changes |= dict.fromkeys(self.comparison.list_changes(before, now))
        then = name_numbers(self.comparison.found(before))
        for measure in self.comparison.goodness(now):
            if then.get(measure, 0.0) is None:
                self._changes[f"{measure} is null there, and was not compared"] = None
        missing = tuple(list_gone(self.comparison.found(before), self.comparison.found(now)))
        self._missing.update(missing)
        return missing

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

    def _refuse_other_settings(self, earlier: Record, this_one: Record) -> None:
        old, new = map(self.comparison.compared_by, (earlier, this_one))
        settings = ", ".join(f"`{name}`" for name in self.comparison.settings)
        for name in {**new, **old}:
            if name not in old:
                this = f"this run has {_tell(new.get(name))}"
                raise DataError(f"{self.source}: does not say its {name}, {this}", AGAIN)
            if _ordered(old[name]) != _ordered(new.get(name)):
                before, now = _apart(old[name], new.get(name))
                raise DataError(
                    f"{self.source}: scored with {name} {_tell(before)}, this run has {_tell(now)}",
                    "Make the records of both runs in the same way."
                    if name in _OF_RECORDS
                    else f"Compare runs of the same {settings}.",
                )

    def _losses(self, before: Record, now: Record) -> "list[_Loss]":
        old, new = map(self.comparison.goodness, (before, now))
        then, found = (name_numbers(self.comparison.found(each)) for each in (before, now))
        losses = []
        for measure, good in new.items():
            if measure not in old:
                continue
            loss = old[measure] - good if old[measure] != good else 0.0
            size = math.inf if math.isnan(loss) else loss
            losses.append(_Loss(measure, then.get(measure), found.get(measure), size))
        gone = [name for name in old if name not in new and found.get(name, 0.0) is None]
        return losses + [_Loss(measure, then.get(measure), None, math.inf) for measure in gone]


@dataclass(frozen=True)
class _Loss:
    measure: str
    before: object
    now: object
    size: float


def refuse_line(
    where: str, line: Record | ItemError, own: Collection[str], wanted: str, advice: str
) -> NoReturn:
    """Raise DataError for a line of a baseline that is no record which can be compared.

    `own` are the schemas of the command that have records of one query, too, `wanted` is what
    writes those that can be compared, `advice` how a baseline is made.
    """
    if isinstance(line, ItemError):
        found = line.reason
    else:
        schema = str(line.get("schema", "no schema"))
        found = schema[:_SHOWN]
        found += " of one query" if "query" in line and schema in own else ""
    raise DataError(f"{where}: expected a record of {wanted}, found {found}", advice)


def _ordered(value: object) -> object:
    """Conditions and names in any order are the same."""
    return sorted(map(str, value)) if isinstance(value, list) else value


def _apart(one: object, other: object) -> tuple[object, object]:
    """Both values, of objects what is not the same in the two."""
    if not isinstance(one, Mapping) or not isinstance(other, Mapping):
        return one, other
    names = [name for name in {**one, **other} if one.get(name) != other.get(name)]
    first, second = ({name: _tell(each.get(name)) for name in names} for each in (one, other))
    return first, second


def _tell(value: object) -> str:
    if isinstance(value, Mapping):
        value = [f"{name} {each}" for name, each in value.items()]
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


def _say(value: object) -> str:
    return f"{number(value):.4f}"
