"""Records as checks: verdicts and gates that fail a run, and what became worse since another one.

A command says by its `CheckRules` what its records are about and which numbers they have; its story
hands the records to `Checks`. Paths are not in what a record is about, for files move.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from xmir_cli.console import show
from xmir_cli.errors import DataError, ItemError
from xmir_cli.gates import Gate, refuse_unknown
from xmir_cli.render.junit import JunitCase, junit
from xmir_cli.scoring.baseline import MISSING, Baseline, refuse_line
from xmir_cli.scoring.check_rules import CheckKey, CheckRules, join, keyed
from xmir_cli.scoring.numbers import name_numbers
from xmir_cli.store.atomic import atomic_file
from xmir_cli.store.jsonl import open_lines, read_records
from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import read_view


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
    if _comes_again(rules, found):
        raise DataError(f"{source}: records of two runs", "Name a file of one run.")
    return Baseline(dict(keyed(rules, found)), source, rules)


def _comes_again(rules: CheckRules, records: Iterable[Record]) -> bool:
    """Whether two records are about one thing; copies of a query have other ids, or lie elsewhere.

    Then they are of two runs, of which nobody knows which is the earlier one.
    """
    told = Counter(
        (*rules.key_of(each), str(each.get("id")), str(each.get("query")))
        for each in filter(rules.is_check, records)
    )
    return any(count > 1 for count in told.values())


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
                self.unmet.append(join(self.rules.name_of(record), told))
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
            self.unmet.append(join(self.rules.name_of(record), failure or error))

    def compare(
        self, earlier: Baseline | None, tolerance: float, lost: Mapping[str, str] | None = None
    ) -> None:
        """A check for each record that an earlier run of the same kind has, too.

        `lost` has the subjects that could not be scored any more, and why: each is an error. What
        this run did not meet at all is no failure of it.
        """
        if earlier is None or earlier.comparison is not self.rules:
            return
        for key, record in self._meet(earlier):
            known, name = key in earlier.records, self.rules.name_of(record)
            compared = earlier.compare(key, name, record, tolerance)
            if known:
                self._list(record, "baseline", failure=compared.worse)
                if compared.missing:
                    gone = f"baseline: {', '.join(compared.missing)}"
                    self._list(record, gone, missing=MISSING)
        for left in [each for each in earlier.records if each in earlier.left]:
            self._take_missing(left, earlier, tolerance, lost or {})
        self.unmet += earlier.judge(self.rules.what, tolerance)

    def _meet(self, earlier: Baseline) -> Iterator[tuple[Hashable, Record]]:
        """The records by the keys that these have in the earlier run.

        What may change did where both runs have one record of what it is of.
        """
        rules, found = self.rules, list(keyed(self.rules, self.found))
        own = Counter(rules.bare_key_of(record) for _, record in found)
        before: dict[CheckKey, list[Hashable]] = {}
        for key, record in earlier.records.items():
            before.setdefault(rules.bare_key_of(record), []).append(key)
        for key, record in found:
            bare = rules.bare_key_of(record)
            alone = rules.changeable and own[bare] == len(before.get(bare, ())) == 1
            yield (before[bare][0] if alone else key), record

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
            self._list(before, "baseline", error=join(told, lost[subject]))
        else:
            self._list(before, "baseline", missing=MISSING)

    def _list(self, record: Record, name: str, **outcome: str) -> None:
        group, test = self.rules.parts_of(record)
        self.cases.append(JunitCase(group, join(test, name), **outcome))
