"""Records as checks: verdicts and gates that fail a run, and what became worse since another one.

A command says by its `CheckRules` what its records are about and which numbers they have; its story
hands the records to `Checks`. Paths are not in what a record is about, for files move.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from xmir_cli.console import show
from xmir_cli.errors import DataError, ItemError
from xmir_cli.gates import Gate, refuse_unknown
from xmir_cli.render.junit import JunitCase, junit
from xmir_cli.scoring.baseline import MISSING, Baseline, refuse_line
from xmir_cli.scoring.numbers import name_numbers, pick_numbers
from xmir_cli.store.atomic import atomic_file
from xmir_cli.store.jsonl import open_lines, read_records
from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import Schema, read_view

_Key = tuple[str, str]  # what is tested, and how
_Numbered = tuple[str, str, int]  # which of those that are equal in this


@dataclass(frozen=True)
class CheckRules:
    """What the commands differ in whose records are checks."""

    command: str
    schema: type[Schema]
    keys: tuple[str, ...]  # of a record: how it was made, which two runs share; dots reach inside
    settings: tuple[str, ...]  # what these are asked for by
    goodness: Callable[[Record], dict[str, float]]  # the numbers that are compared; more is better
    advice: str  # how a baseline of such records is made
    given: tuple[str, ...] = ()  # keys that are null in both runs, or in neither
    counted: tuple[str, ...] = ()  # keys of how much the numbers are of
    matched: str = ""  # how records are known again, where there are several
    subject: str = ""  # the key of what it is about; empty where that is the whole run
    name: str = ""  # the key of what people call that; empty: the same
    test: str = ""  # the key that tells several records of one subject apart
    alike: bool = True  # whether these have the same numbers
    what: str = "tests"  # what a run has several of
    explain: Callable[[Record], str] = lambda _: ""  # what a bad verdict means; nothing of others
    is_check: Callable[[Record], bool] = lambda _: True
    # why a number that keeps its bound, beside all that are asked for, is no proof; or nothing
    doubt: Callable[[Record, Gate, Sequence[Gate]], str] = lambda *_: ""
    why_null: Callable[[Record, str], str] = lambda *_: ""  # of a number; nothing: nobody knows
    deep: bool = False  # whether gates know the numbers in objects of a record

    def compared_by(self, record: Record) -> dict[str, object]:
        """How a record was made, as far as runs whose numbers are compared must share it."""
        made = {
            name: _look_up(record, name) for name in self.keys if name.partition(".")[0] in record
        }
        given = {name: record[name] for name in self.given if name in record}
        return made | {name: value and "one" for name, value in given.items()}

    def found(self, record: Record) -> Record:
        """The parts of a record that hold the numbers which gates know."""
        return pick_numbers(record, self.schema, self.deep)

    def list_changes(self, before: Record, now: Record) -> Iterator[str]:
        """What a user should know: numbers of more or fewer images are compared all the same."""
        images = [each.get("images_sha256") for each in (before, now)]
        if None not in images and images[0] != images[1]:
            yield "other images"
        for name in self.counted:
            if before.get(name) != now.get(name):
                yield f"{name} {before.get(name)}, this run has {now.get(name)}"

    def is_of_another(self, record: Record) -> bool:
        """Whether a record of the schema is of one query, where its records are of all."""
        return "query" in record and "query" not in (self.name, self.subject)

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
            rules = None if isinstance(line, ItemError) else known.get(str(line.get("schema")))
            if isinstance(line, ItemError) or rules is None or rules.is_of_another(line):
                wanted = " or ".join(each.schema.WRITTEN_BY for each in known.values())
                refuse_line(f"{source}: line {number}", line, known, wanted, kinds[0].advice)
            try:
                read_view(rules.schema, line)
            except ItemError as error:
                raise DataError(f"{source}: line {number}: {error.reason}") from None
            known = {rules.schema.NAME: rules}
            found.append(line)
    rules = next(iter(known.values()))
    if any(number > 1 and "query" not in each for (*_, number), each in _keyed(rules, found)):
        raise DataError(f"{source}: records of two runs", "Name a file of one run.")
    return Baseline(dict(_keyed(rules, found)), source, rules)


@dataclass
class Checks:
    """The checks of a run, and those of them that are not met."""

    rules: CheckRules
    found: Sequence[Record]
    cases: list[JunitCase] = field(default_factory=list)
    unmet: list[str] = field(default_factory=list)

    def take_verdicts(self, failing: bool) -> None:
        """A check for each verdict; a bad one fails the run if it is to, else it is told."""
        for record in filter(self.rules.is_check, self.found):
            told = self.rules.explain(record)
            if failing and told:
                self._list(record, "verdict", failure=told)
                self.unmet.append(_join(self.rules.name_of(record), told))
            else:
                self._list(record, "verdict", told=told)

    def take_lost(self, lost: Iterable[tuple[str, str]]) -> None:
        """An error for each input that was left out, by its name, and why."""
        group = self.rules.command
        self.cases += [JunitCase(group, show(name), error=reason) for name, reason in lost]

    def take_unread(self, unread: Iterable[tuple[str, str]]) -> None:
        """A skipped case for each input of which a part is not known, by its name, and why."""
        group = self.rules.command
        self.cases += [JunitCase(group, show(name), missing=reason) for name, reason in unread]

    def ask(self, gates: Sequence[Gate]) -> None:
        """A check for each gate and record that has the gate's number.

        Where records are alike, each must have it. One that is null could not be
        had, which is an error. Raises SettingError for a number that no record has.
        """
        checked = list(filter(self.rules.is_check, self.found))
        numbers = [name_numbers(self.rules.found(record)) for record in checked]
        refuse_unknown(gates, dict.fromkeys(name for each in numbers for name in each))
        for record, known in zip(checked, numbers, strict=True):
            for gate in gates:
                if gate.name in known or self.rules.alike:
                    self._ask(record, gate, known.get(gate.name), gates)

    def _ask(self, record: Record, gate: Gate, value: float | None, gates: Sequence[Gate]) -> None:
        """A check of one number; None: there is none."""
        if value is None:
            why = self.rules.why_null(record, gate.name) or "this run cannot tell it"
            failure, error = "", gate.lacking(why)
        else:
            failure = gate.failure(value)
            error = "" if failure else self.rules.doubt(record, gate, gates)
        self._list(record, gate.text, failure=failure, error=error)
        if failure or error:
            self.unmet.append(_join(self.rules.name_of(record), failure or error))

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
                compared = earlier.compare(key, name, record, tolerance)
                self._list(record, "baseline", failure=compared.worse)
                if compared.missing:
                    gone = f"baseline: {', '.join(compared.missing)}"
                    self._list(record, gone, missing=MISSING)
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
            told = earlier.compare(key, self.rules.name_of(before), None, tolerance).worse
            self._list(before, "baseline", error=_join(told, lost[subject]))
        else:
            self._list(before, "baseline", missing=MISSING)

    def _list(self, record: Record, name: str, **outcome: str) -> None:
        group, test = self.rules.parts_of(record)
        self.cases.append(JunitCase(group, _join(test, name), **outcome))


def _keyed(rules: CheckRules, records: Iterable[Record]) -> Iterator[tuple[_Numbered, Record]]:
    """The records that are checks by what they are about; copies are numbered by their ids."""
    checked = list(filter(rules.is_check, records))
    seen: Counter[_Key] = Counter()
    keys: dict[int, _Numbered] = {}
    for place, record in sorted(enumerate(checked), key=lambda each: str(each[1].get("id") or "")):
        key = rules.key_of(record)
        seen[key] += 1
        keys[place] = *key, seen[key]
    for place, record in enumerate(checked):
        yield keys[place], record


def _join(*parts: str) -> str:
    return ": ".join(filter(None, parts))


def _look_up(record: object, name: str) -> object:
    """The value of a name whose dots reach into objects; None where there is none."""
    for part in name.split("."):
        record = record.get(part) if isinstance(record, Mapping) else None
    return record
