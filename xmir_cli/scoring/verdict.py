"""The verdict over a run: what was scored, what became worse, which gates are not met."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import cast

from xmir_cli import console
from xmir_cli.console import Ending
from xmir_cli.errors import DataError, ItemError
from xmir_cli.gates import Gate
from xmir_cli.render.junit import JunitCase, junit
from xmir_cli.scoring.baseline import MISSING, Baseline, SinceBaseline
from xmir_cli.scoring.map_baseline import Keys, MapKey, bare_key
from xmir_cli.scoring.numbers import Numbers
from xmir_cli.scoring.repeated import Repeats
from xmir_cli.scoring.tally import TIED, Tally
from xmir_cli.store.atomic import atomic_file
from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import read_view
from xmir_cli.wire.schemas.saliency import SaliencyRecord


@dataclass(frozen=True)
class _Case:
    """A map of this run, and what became of it."""

    view: SaliencyRecord
    key: MapKey
    record: Record | ItemError


@dataclass
class Verdict:
    """Collects the outcomes of a run and judges them at its end."""

    skips: console.Skips
    tally: Tally
    gates: Sequence[Gate]
    baseline: Baseline | None
    tolerance: float
    listed: bool = False  # whether every record becomes a case of the JUnit file
    summed: bool = False  # whether means are told
    cases: list[JunitCase] = field(default_factory=list)
    _keys: Keys = field(default_factory=Keys)
    _repeats: Repeats = field(default_factory=Repeats)
    _again: int = 0  # maps that were taken before
    _changed: dict[MapKey, "list[_Case]"] = field(default_factory=dict)

    def take(
        self,
        where: str,
        view: SaliencyRecord,
        identities: tuple[str, str],
        record: Record | ItemError,
        part: str = "",
    ) -> None:
        """Take into account what became of a map: its record, or why there is none.

        `identities` are those of the query and of the retrieved image; `part` tells several records
        of one map apart.
        """
        if self.baseline is not None or self.listed:
            case = _Case(view, self._keys.of(view, identities, part), record)
            if case.key in self._variants.get(bare_key(case.key), {case.key}):
                self._compare_and_list(case, case.key)
            else:
                self._changed.setdefault(bare_key(case.key), []).append(case)
        if isinstance(record, ItemError):
            self.skips.add(where, record)
        else:
            self.tally.add(record)
            number = self.tally.total
            mask = self.tally.evaluation.find_mask(record)
            self._again += self._repeats.find(number, view, part, mask) != number

    def lose(self, where: str, error: ItemError) -> None:
        """Take into account a line that tells no map: an error, for nobody knows which it was."""
        self.skips.add(where, error)
        if self.listed:
            self.cases.append(JunitCase(self.tally.evaluation.command, where, error=error.reason))

    @cached_property
    def _variants(self) -> dict[MapKey, set[MapKey]]:
        """The keys of the baseline that differ in the method's settings alone."""
        found: dict[MapKey, set[MapKey]] = {}
        for each in self.baseline.records if self.baseline is not None else ():
            key = cast("MapKey", each)
            found.setdefault(bare_key(key), set()).add(key)
        return found

    def _compare_changed(self) -> None:
        """Compare maps of other settings where the pair has one map of the method in both runs."""
        left = set() if self.baseline is None else self.baseline.left
        for bare, cases in self._changed.items():
            variants = self._variants[bare]
            alone = len(cases) == len(variants) == 1 and variants <= left
            for case in cases:
                self._compare_and_list(case, next(iter(variants)) if alone else case.key)

    def _compare_and_list(self, case: "_Case", key: MapKey) -> None:
        view, record = case.view, case.record
        name = _name(view, case.key)
        found = None if isinstance(record, ItemError) else record
        compared = SinceBaseline()
        if self.baseline is not None:
            compared = self.baseline.compare(key, name, found, self.tolerance)
        error = record.reason if isinstance(record, ItemError) else ""
        failure = "" if error else compared.worse
        self.cases.append(JunitCase(view.method, name, failure, error))
        if compared.missing:
            gone = f"{name}: {', '.join(compared.missing)}"
            self.cases.append(JunitCase(view.method, gone, missing=MISSING))

    def finish(self, junit_file: Path | None) -> Ending:
        """What the user must know about the numbers, and the exit code; writes JUnit's XML.

        Raises DataError when nothing was scored, or nothing could be compared.
        """
        if not self.tally.total:
            total = self.skips.total
            raise DataError(
                f"none of {total} records could be scored"
                if total
                else "no records on standard input"
            )
        ending = self.skips.finish(self.tally.total, "scored")
        same = self.tally.same()
        partial = (f"{each}: left out of its means" for each in self.tally.partial())
        ending = replace(
            ending,
            warnings=(*self._warn_of_ties(), *self._warn_of_empty(), *self._warn_of_repeats()),
            notes=(*ending.notes, *partial, *same),
        )
        self._compare_changed()
        unmet = self._judge_gates()
        if self.baseline is not None:
            unmet += self.baseline.judge("maps", self.tolerance)
        self._list_missing()
        if junit_file is not None:
            with atomic_file(junit_file) as file:
                file.write(junit(f"xmir {self.tally.evaluation.command}", self.cases).encode())
        return ending.judged(unmet)

    def _list_missing(self) -> None:
        """A case for each map that only the earlier run has: it did not fail, it is not there."""
        if self.baseline is None or not self.listed:
            return
        for key, record in self.baseline.records.items():
            if key in self.baseline.left and isinstance(key, tuple):
                view = read_view(self.tally.evaluation.schema, record)
                name = _name(view, cast("MapKey", key))
                self.cases.append(JunitCase(view.method, name, missing=MISSING))

    def _warn_of_ties(self) -> tuple[str, ...]:
        if not self.tally.tied:
            return ()
        found = f"{self.tally.tied} of {self.tally.total} maps have ties whose order may move"
        return (f"{found} a number by more than {TIED:g}; that part of it is not the map's",)

    def _warn_of_empty(self) -> tuple[str, ...]:
        if not self.tally.empty:
            return ()
        found = f"{self.tally.empty} of {self.tally.total} maps explain a similarity that is not"
        return (f"{found} above 0, which counts as 0: a deletion of 0 says nothing of them",)

    def _warn_of_repeats(self) -> tuple[str, ...]:
        if not (self._again and (self.summed or self.gates)):
            return ()
        found = f"{self._again} of {self.tally.total} maps came before, and count again in means"
        return (f"{found}: are these records of two runs?",)

    def _judge_gates(self) -> list[str]:
        unmet = []
        for method, numbers in self.tally.numbers() if self.gates else ():
            for gate in self.gates:
                failure, error = _ask(gate, numbers)
                self.cases.append(JunitCase(method, gate.text, failure, error))
                unmet += [f"{method}: {failure or error}"] if failure or error else []
        return unmet


def _ask(gate: Gate, numbers: Numbers) -> tuple[str, str]:
    """In what a number fails, or why there is none."""
    value = numbers.get(gate.name)
    if value is None:
        return "", gate.lacking("no patient is known")
    return gate.failure(value), ""


def _name(view: SaliencyRecord, key: MapKey) -> str:
    """What people call a map."""
    asked = " + ".join(console.show(each) for each in (view.query, view.query_text) if each)
    images = f"{asked} -> {console.show(view.retrieved)}"
    *_, part, _, count = key
    told = ", ".join(each for each in (view.method, view.explains, console.show(part)) if each)
    name = f"{images} ({told})"
    return name if count == 1 else f"{name} number {count}"
