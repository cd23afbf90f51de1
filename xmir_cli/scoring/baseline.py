"""This run against an earlier one: the same maps must not have become worse."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from xmir_cli.errors import DataError, ItemError
from xmir_cli.scoring.evaluation import MapEvaluation
from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import read_view
from xmir_cli.wire.schemas.saliency import SaliencyRecord

# identities of query, with its words, and retrieved image, method, explains, which of its parts,
# which of equal ones
MapKey = tuple[str, str, str, str, str, int]

_AGAIN = "It was made by an earlier xmir, or changed since: make the baseline again."


@dataclass(frozen=True)
class Regression:
    """A number that became worse than the tolerance allows, or cannot be had any more."""

    name: str  # of the map, for people
    message: str
    size: float  # how much worse; infinite when there is no number


class Baseline:
    """Earlier records of a command by what they are about."""

    def __init__(
        self,
        lines: Iterable[tuple[int, Record | ItemError]],
        source: str,
        evaluation: MapEvaluation,
    ) -> None:
        self.source, self._evaluation = source, evaluation
        self.records: dict[MapKey, Record] = {}
        keys = Keys()
        for number, line in lines:
            where, wanted = f"{source}: line {number}", evaluation.schema.NAME
            if isinstance(line, ItemError) or line.get("schema") != wanted:
                raise DataError(f"{where}: expected a record of {evaluation.command}")
            view = _read_view(line, evaluation, where)
            if not isinstance(line.get(evaluation.key), Mapping):
                raise DataError(
                    f"{where}: {evaluation.key}: how it was scored is not there", _AGAIN
                )
            part = str(line.get(evaluation.part) or "")
            self.records[keys.of(view, _identities(view, where), part)] = line
        if not self.records:
            raise DataError(f"{source}: no records to compare with")
        self.left = set(self.records)  # not met in this run yet

    def compare(
        self, key: MapKey, name: str, now: Record | None, tolerance: float
    ) -> Regression | None:
        """What of the map `name` became worse since the earlier record of the same key, or None.

        `now` is None when the map could not be scored. Raises DataError when the earlier run had
        other parameters.
        """
        before = self.records.get(key)
        self.left.discard(key)
        if before is None:
            return None
        if now is None:
            return Regression(name, "could not be scored any more", math.inf)
        self._refuse_other_parameters(before, now)
        worst = max(self._losses(before, now), key=lambda loss: loss.size)
        if worst.size <= tolerance:
            return None
        message = f"{worst.measure} {worst.before:.4f} -> {worst.now:.4f}"
        return Regression(name, message, worst.size)

    def _refuse_other_parameters(self, before: Record, now: Record) -> None:
        old, new = self._parameters(before), self._parameters(now)
        settings = ", ".join(f"`{name}`" for name in self._evaluation.settings)
        for name in new:
            if old.get(name) != new[name]:
                raise DataError(
                    f"{self.source}: scored with {name} {old.get(name)}, this run has {new[name]}",
                    f"Compare runs of the same {settings}.",
                )

    def _parameters(self, record: Record) -> dict[str, object]:
        found = self._evaluation.parameters(record)
        return {name: found[name] for name in found if name not in self._evaluation.free}

    def _losses(self, before: Record, now: Record) -> "list[_Loss]":
        losses = []
        for measure, better in self._evaluation.better(self._parameters(now)).items():
            old, new = _number(before.get(measure)), _number(now.get(measure))
            size = better * (old - new)
            losses.append(_Loss(measure, old, new, math.inf if math.isnan(size) else size))
        return losses


class Keys:
    """Knows records by what they are about; equal ones are numbered in their order."""

    def __init__(self) -> None:
        self._seen: Counter[tuple[str, str, str, str, str]] = Counter()

    def of(self, view: SaliencyRecord, identities: tuple[str, str], part: str) -> MapKey:
        """The key of the next record; paths are not in it, for files move.

        `identities` are those of the query and of the retrieved image; `part` tells several records
        of one map apart.
        """
        query, retrieved = identities
        asked = query if view.words is None else f"{query} {view.words.said}"
        known = (asked, retrieved, view.method, view.explains, part)
        self._seen[known] += 1
        return *known, self._seen[known]


def _read_view(record: Record, evaluation: MapEvaluation, where: str) -> SaliencyRecord:
    try:
        view = read_view(evaluation.schema, record)
        _ = view.words  # raises, too
    except ItemError as error:
        raise DataError(f"{where}: {error.reason}") from None
    return view


def _identities(view: SaliencyRecord, where: str) -> tuple[str, str]:
    query = view.query_identity if view.query else ""  # none where words ask alone
    if query is None or view.retrieved_identity is None:
        raise DataError(
            f"{where}: query_identity, retrieved_identity: expected the hashes of the images, "
            "found nothing",
            _AGAIN,
        )
    return query, view.retrieved_identity


@dataclass(frozen=True)
class _Loss:
    measure: str
    before: float
    now: float
    size: float


def _number(value: object) -> float:
    """The number, NaN for everything else."""
    return float(value) if isinstance(value, int | float) else math.nan
