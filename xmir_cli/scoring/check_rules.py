"""What commands differ in whose records are checks, and how records are known again."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from xmir_cli.gates import Gate
from xmir_cli.scoring.numbers import pick_numbers
from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import Schema

CheckKey = tuple[str, str]  # what is tested, and how
NumberedKey = tuple[str, str, int]  # which of those that are equal in this


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
    test: str = ""  # the key that tells several records of one subject apart, for people
    apart: tuple[str, ...] = ()  # keys that do whatever others there are; empty: `test` does
    changeable: str = ""  # one of these, which may change where both runs have one of the others
    alike: bool = True  # whether these have the same numbers
    what: str = "tests"  # what a run has several of
    explain: Callable[[Record], str] = lambda _: ""  # what a bad verdict means; nothing of others
    is_check: Callable[[Record], bool] = lambda _: True
    # why a number that keeps its bound, beside all that are asked for, is no proof; or nothing
    doubt: Callable[[Record, Gate, Sequence[Gate]], str] = lambda *_: ""
    list_settings: Callable[[Record, Record], Iterator[str]] = lambda *_: iter(())  # that changed
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
        yield from self.list_settings(before, now)
        for name in self.counted:
            if before.get(name) != now.get(name):
                yield f"{name} {before.get(name)}, this run has {now.get(name)}"

    def is_of_another(self, record: Record) -> bool:
        """Whether a record of the schema is of one query, where its records are of all."""
        return "query" in record and "query" not in (self.name, self.subject)

    def key_of(self, record: Record) -> CheckKey:
        """What a record is about."""
        return self._key(record, self.apart)

    def bare_key_of(self, record: Record) -> CheckKey:
        """The same without what may change."""
        return self._key(record, [name for name in self.apart if name != self.changeable])

    def _key(self, record: Record, apart: Sequence[str]) -> CheckKey:
        values = [record.get(name) for name in apart]
        test = json.dumps(values, sort_keys=True) if self.apart else self._test(record)
        return str(record.get(self.subject) or ""), test

    def _test(self, record: Record) -> str:
        return str(record.get(self.test) or "")

    def parts_of(self, record: Record) -> CheckKey:
        """What people call that; the command where a run has one subject."""
        named = record.get(self.name) or record.get(self.subject) or self.command
        return str(named), self._test(record)

    def name_of(self, record: Record) -> str:
        """The same in one text, empty where a run has one record."""
        subject, test = self.parts_of(record)
        return join("" if subject == self.command else subject, test)


def has_verdict(record: Record) -> bool:
    """Whether a record says pass or fail; of the stages of a test only the last does."""
    return record.get("verdict") is not None


def keyed(rules: CheckRules, records: Iterable[Record]) -> Iterator[tuple[NumberedKey, Record]]:
    """The records that are checks by what they are about; copies are numbered by their ids."""
    checked = list(filter(rules.is_check, records))
    seen: Counter[CheckKey] = Counter()
    keys: dict[int, NumberedKey] = {}
    for place, record in sorted(enumerate(checked), key=lambda each: str(each[1].get("id") or "")):
        key = rules.key_of(record)
        seen[key] += 1
        keys[place] = *key, seen[key]
    for place, record in enumerate(checked):
        yield keys[place], record


def join(*parts: str) -> str:
    """Those that there are, in one text."""
    return ": ".join(filter(None, parts))


def _look_up(record: object, name: str) -> object:
    """The value of a name whose dots reach into objects; None where there is none."""
    for part in name.split("."):
        record = record.get(part) if isinstance(record, Mapping) else None
    return record
