"""By what queries were asked, as their records tell it, and what differs between two files."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath

from xmir_cli.errors import DataError
from xmir_cli.wire.records import Record

_MOVED = ("like", "unlike", "center")  # of a record: examples, or the mean that was left out
_MAY_BE_FOUND = ("where", "exclude_same", "no_self", "per")  # what else is right, or wrong
_UNTOLD = "settings that its records do not tell"


@dataclass(frozen=True)
class Ways:
    """The settings by which one query was asked."""

    settings: Record
    known: bool = True  # whether its records tell all of them; those of before do not

    @property
    def key(self) -> str:
        """The same text for the same ways."""
        return f"{self.known} {_text(self.settings)}"

    def say_beside(self, other: "Ways") -> set[str]:
        """What the other one has not, in words."""
        untold = set() if self.known or not other.known else {_UNTOLD}
        return untold | {
            _say(name, value)
            for name, value in self.settings.items()
            if other.settings.get(name) != value
        }


def read_ways(record: Record) -> Ways:
    """Those that a record tells, of one of before those by which its query was moved."""
    told, pulled = record.get("asked"), record.get("toward")
    settings: Record = {"rerank": True} if "rerank_distance" in record else {}
    settings |= told if isinstance(told, Mapping) else {}
    settings |= {name: True for name in _MOVED if record.get(name)}
    if isinstance(pulled, list):
        settings["toward"] = sorted(PurePath(str(each)).name for each in pulled)
    return Ways(settings, isinstance(told, Mapping))


@dataclass
class OtherWays:
    """What differs between OLD and NEW in how the same queries were asked."""

    queries: int = 0
    old: set[str] = field(default_factory=set)  # in words, what only OLD has
    new: set[str] = field(default_factory=set)
    found: set[str] = field(default_factory=set)  # the settings that say what may be found

    def note(self, compared: int) -> list[str]:
        """A line of it, where there is any."""
        if not self.queries:
            return []
        some = "" if self.queries == compared else f"{self.queries} of {compared} queries were "
        return [f"{some}asked in two ways: {self._sides}"]

    def refuse_gates(self) -> None:
        """Raise DataError where other images could be found: a gate would tell of that."""
        if self.found:
            names = ", ".join(sorted(self.found))
            sides = self._sides.replace("`", "")  # settings of query, not of compare
            raise DataError(
                f"asked in two ways: {sides}; gates would tell of these, not of the models",
                f"Ask both with the same {names}, or compare without gates.",
            )

    @property
    def _sides(self) -> str:
        old, new = (", ".join(sorted(each)) for each in (self.old, self.new))
        return f"{f'OLD with {old}' if old else 'OLD without'}, " + (
            f"NEW with {new}" if new else "NEW without"
        )


def compare_ways(pairs: Iterable[tuple[Ways, Ways]]) -> OtherWays:
    """What differs within the pairs, one a query."""
    found = OtherWays()
    for old, new in pairs:
        if old is new or old == new:
            continue
        found.queries += 1
        found.old |= old.say_beside(new)
        found.new |= new.say_beside(old)
        if old.known and new.known:
            both = (old.settings, new.settings)
            found.found |= {
                name for name in _MAY_BE_FOUND if len({_text(each.get(name)) for each in both}) > 1
            }
    return found


def merge_ways(ways: Iterable[Ways]) -> Record | None:
    """The settings of all queries: several values of one are a list; None where not all tell."""
    every = {id(each): each for each in ways}.values()  # a few, each of many queries
    if not all(each.known for each in every):
        return None
    distinct = [each.settings for each in every]
    merged: Record = {}
    for name in dict.fromkeys(name for each in distinct for name in each):
        values = {_text(each.get(name)): each.get(name) for each in distinct}
        several = [values[text] for text in sorted(values)]
        merged[name] = several if several[1:] else several[0]
    return merged


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def _say(name: str, value: object) -> str:
    if value is True:
        return f"`{name}`"
    values = value if isinstance(value, list) else [value]
    return f"`{name}` {', '.join(map(str, values))}"
