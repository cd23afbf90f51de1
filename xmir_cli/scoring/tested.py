"""Records as checks: verdicts and gates that fail a run, and what became worse since another one.

A command says by its `CheckRules` what its records are about and which numbers they have; its story
hands the records to `Checks`. Paths are not in what a record is about, for files move.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from xmir_cli.errors import DataError, ItemError
from xmir_cli.gates import Gate, check
from xmir_cli.render.junit import JunitCase, junit
from xmir_cli.scoring.baseline import Baseline
from xmir_cli.store.atomic import atomic_file
from xmir_cli.store.jsonl import open_lines, read_records
from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import Schema

_Key = tuple[str, str]  # what is tested, and how
_Numbered = tuple[str, str, int]  # which of those that are equal in this


def own_numbers(record: Record) -> dict[str, float]:
    """The numbers of a record by their keys."""
    return {
        name: float(value)
        for name, value in record.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


@dataclass(frozen=True)
class CheckRules:
    """What the commands differ in whose records are checks."""

    command: str
    schema: type[Schema]
    keys: tuple[str, ...]  # of a record: how it was made, which two runs share
    settings: tuple[str, ...]  # what these are asked for by
    goodness: Callable[[Record], dict[str, float]]  # the numbers that are compared; more is better
    subject: str = ""  # the key of what it is about; empty where that is the whole run
    name: str = ""  # the key of what people call that; empty: the same
    test: str = ""  # the key that tells several records of one subject apart
    what: str = "tests"  # what a run has several of
    explain: Callable[[Record], str] = lambda _: ""  # what a bad verdict means; nothing of others
    is_check: Callable[[Record], bool] = lambda _: True
    numbers: Callable[[Record], Mapping[str, float]] = own_numbers  # those that gates know

    def compared_by(self, record: Record) -> dict[str, object]:
        """How a record was made, as far as runs whose numbers are compared must share it."""
        return {name: record.get(name) for name in self.keys}

    def key_of(self, record: Record) -> _Key:
        """What a record is about."""
        return str(record.get(self.subject) or ""), str(record.get(self.test) or "")

    def parts_of(self, record: Record) -> _Key:
        """What people call that; the command where a run has one subject."""
        subject, test = self.key_of(record)
        return str(record.get(self.name) or subject) or self.command, test

    def name_of(self, record: Record) -> str:
        """The same in one text, empty where a run has one record."""
        subject, test = self.parts_of(record)
        return _join("" if subject == self.command else subject, test)


def has_verdict(record: Record) -> bool:
    """Whether a record says pass or fail; of the stages of a test only the last does."""
    return record.get("verdict") is not None


def read_baseline(source: str | None, *kinds: CheckRules) -> Baseline | None:
    """The earlier records in the file `source`, all of one of these kinds.

    Raises DataError when it holds others.
    """
    if source is None:
        return None
    found: list[Record] = []
    known = {rules.schema.NAME: rules for rules in kinds}
    with open_lines(source) as stream:
        for number, line in read_records(stream):
            schema = "" if isinstance(line, ItemError) else str(line.get("schema"))
            if isinstance(line, ItemError) or schema not in known:
                written = kinds[0].schema.WRITTEN_BY
                raise DataError(f"{source}: line {number}: expected a record of {written}")
            known = {schema: known[schema]}
            found.append(line)
    rules = next(iter(known.values()))
    return Baseline(dict(_keyed(rules, found)), source, rules)


@dataclass
class Checks:
    """The checks of a run, and those of them that are not met."""

    rules: CheckRules
    found: Sequence[Record]
    cases: list[JunitCase] = field(default_factory=list)
    unmet: list[str] = field(default_factory=list)

    def take_verdicts(self, failing: bool) -> None:
        """A check for each verdict, which fails the run if it is to."""
        for record in filter(self.rules.is_check, self.found):
            failure = self.rules.explain(record)
            told = self._add(record, "verdict", failure)
            self.unmet += [told] if failing and failure else []

    def ask(self, gates: Sequence[Gate]) -> None:
        """A check for each gate and record that has the gate's number.

        Where a run has one record, a number that it does not have fails. One that is null could not
        be had, which is an error.
        """
        for record in filter(self.rules.is_check, self.found):
            numbers = self.rules.numbers(record)
            for gate in gates:
                if gate.name not in numbers and gate.name in record:
                    error = f"gate {gate.text}: {gate.name} is null, for there was nothing to score"
                    self._list(record, gate.text, error=error)
                    self.unmet.append(_join(self.rules.name_of(record), error))
                elif gate.name in numbers or not self.rules.test:
                    failure = "".join(check([gate], numbers))
                    told = self._add(record, gate.text, failure)
                    self.unmet += [told] if failure else []

    def compare(
        self, earlier: Baseline | None, tolerance: float, lost: Mapping[str, str] | None = None
    ) -> None:
        """A check for each record that an earlier run of the same kind has, too.

        `lost` has the subjects that could not be scored any more, and why: each is an error. What
        this run did not meet at all is no failure of it.
        """
        if earlier is None or earlier.comparison is not self.rules:
            return
        for key, record in _keyed(self.rules, self.found):
            if key in earlier.records:
                name = self.rules.name_of(record)
                worse = earlier.compare(key, name, record, tolerance)
                self._add(record, "baseline", worse.message if worse else "")
        for left in [each for each in earlier.records if each in earlier.left]:
            self._take_missing(left, earlier, tolerance, lost or {})
        self.unmet += earlier.judge(self.rules.what, tolerance)

    def write(self, file: Path | None) -> None:
        """Write them as JUnit's XML if a file is named."""
        if file is not None:
            with atomic_file(file) as stream:
                stream.write(junit(f"xmir {self.rules.command}", self.cases).encode())

    def _take_missing(
        self, key: Hashable, earlier: Baseline, tolerance: float, lost: Mapping[str, str]
    ) -> None:
        """A case for what only the earlier run has: an error where it failed now."""
        before = earlier.records[key]
        subject, _ = self.rules.key_of(before)
        if subject in lost:
            worse = earlier.compare(key, self.rules.name_of(before), None, tolerance)
            told = "" if worse is None else worse.message
            self._list(before, "baseline", error=_join(told, lost[subject]))
        else:
            self._list(before, "baseline", missing="not met in this run")

    def _add(self, record: Record, name: str, failure: str) -> str:
        """The line about a check that is not met."""
        self._list(record, name, failure=failure)
        return _join(self.rules.name_of(record), failure)

    def _list(
        self, record: Record, name: str, failure: str = "", error: str = "", missing: str = ""
    ) -> None:
        group, test = self.rules.parts_of(record)
        self.cases.append(JunitCase(group, _join(test, name), failure, error, missing))


def _keyed(rules: CheckRules, records: Iterable[Record]) -> Iterator[tuple[_Numbered, Record]]:
    """The records that are checks by what they are about; equal ones are numbered."""
    seen: Counter[_Key] = Counter()
    for record in filter(rules.is_check, records):
        key = rules.key_of(record)
        seen[key] += 1
        yield (*key, seen[key]), record


def _join(*parts: str) -> str:
    return ": ".join(filter(None, parts))
