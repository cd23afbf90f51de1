"""Tests with verdicts as checks: what fails a run, and what became worse since an earlier one."""

from collections.abc import Callable, Collection, Hashable, Sequence
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


@dataclass(frozen=True)
class VerdictRules:
    """What the commands that make tests differ in."""

    command: str
    schema: type[Schema]
    subject: str  # the key of a record that says what is tested; empty where it is one network
    keys: tuple[str, ...]  # those that say how, and which two runs share
    settings: tuple[str, ...]  # what these are asked for by
    goodness: Callable[[Record], dict[str, float]]  # the numbers that are compared; more is better
    explain: Callable[[Record], str]  # what a verdict means that is no pass; nothing of one

    def compared_by(self, record: Record) -> dict[str, object]:
        """How a test was made, as far as runs whose numbers are compared must share it."""
        return {name: record.get(name) for name in self.keys}

    def key_of(self, record: Record) -> _Key:
        """What a record is about."""
        return str(record.get(self.subject) or ""), str(record.get("test"))


def read_baseline(source: str | None, rules: VerdictRules) -> Baseline | None:
    """The earlier verdicts in the file `source`; raises DataError when it holds other records."""
    if source is None:
        return None
    records: dict[Hashable, Record] = {}
    with open_lines(source) as stream:
        for number, line in read_records(stream):
            if isinstance(line, ItemError) or line.get("schema") != rules.schema.NAME:
                raise DataError(f"{source}: line {number}: expected a record of {rules.command}")
            if _is_judged(line):
                records[rules.key_of(line)] = line
    return Baseline(records, source, rules)


@dataclass
class Checks:
    """The checks of a run, and those of them that are not met."""

    rules: VerdictRules
    found: Sequence[Record]
    cases: list[JunitCase] = field(default_factory=list)
    unmet: list[str] = field(default_factory=list)

    def take_verdicts(self, failing: bool) -> None:
        """A check for each verdict, which fails the run if it is to."""
        for record in filter(_is_judged, self.found):
            failure = self.rules.explain(record)
            told = self._add(record, "verdict", failure)
            self.unmet += [told] if failing and failure else []

    def ask(self, gates: Sequence[Gate]) -> None:
        """A check for each gate and verdict that has the gate's number."""
        for record in filter(_is_judged, self.found):
            for gate in gates:
                if gate.name in record:
                    failure = "".join(check([gate], _numbers(record, gate.name)))
                    told = self._add(record, f"{gate.flag} {gate.name}={gate.bound:g}", failure)
                    self.unmet += [told] if failure else []

    def compare(self, earlier: Baseline | None, tolerance: float, lost: Collection[str]) -> None:
        """A check for each test that an earlier run made, too; `lost` cannot be tested any more."""
        if earlier is None:
            return
        for record in filter(_is_judged, self.found):
            key = self.rules.key_of(record)
            if key in earlier.records:
                worse = earlier.compare(key, _name(key), record, tolerance)
                self._add(record, "baseline", worse.message if worse else "")
        for subject, test in [_pair(each) for each in earlier.records if each in earlier.left]:
            if subject in lost:
                key = subject, test
                worse = earlier.compare(key, _name(key), None, tolerance)
                error = worse.message if worse else ""
                self.cases.append(JunitCase(subject, f"{test}: baseline", error=error))
        self.unmet += earlier.judge("tests", tolerance)

    def write(self, file: Path | None) -> None:
        """Write them as JUnit's XML if a file is named."""
        if file is not None:
            with atomic_file(file) as stream:
                stream.write(junit(f"xmir {self.rules.command}", self.cases).encode())

    def _add(self, record: Record, name: str, failure: str) -> str:
        """The line about a check that is not met."""
        key = self.rules.key_of(record)
        group, test = key[0] or self.rules.command, key[1]
        self.cases.append(JunitCase(group, f"{test}: {name}", failure))
        return f"{_name(key)}: {failure}"


def _is_judged(record: Record) -> bool:
    return record.get("verdict") is not None


def _numbers(record: Record, name: str) -> dict[str, float]:
    value = record[name]
    return {name: float(value)} if isinstance(value, int | float) else {}


def _pair(key: Hashable) -> _Key:
    assert isinstance(key, tuple)
    return key[0], key[1]


def _name(key: _Key) -> str:
    return ": ".join(filter(None, key))
