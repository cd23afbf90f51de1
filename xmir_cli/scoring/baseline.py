"""This run against an earlier one: the same maps must not have become worse."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from xmir_cli.errors import DataError, ItemError
from xmir_cli.scoring.names import MEASURES
from xmir_cli.wire.old_settings import renew_protocol
from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import read_view
from xmir_cli.wire.schemas.causal import CausalRecord
from xmir_cli.wire.schemas.saliency import SaliencyRecord

# identities of query, with its words, and retrieved image, method, explains, which of equal ones
MapKey = tuple[str, str, str, str, int]

# of another network the numbers are compared: that is what a baseline is for
_MAY_DIFFER = {"weights_sha256", "fill"}
_AGAIN = "It was made by an earlier xmir, or changed since: make the baseline again."


@dataclass(frozen=True)
class Regression:
    """A number that became worse than the tolerance allows, or cannot be had any more."""

    name: str  # of the map, for people
    message: str
    size: float  # how much worse; infinite when there is no number


class Baseline:
    """Earlier records of causal-metric by what they are about."""

    def __init__(self, lines: Iterable[tuple[int, Record | ItemError]], source: str) -> None:
        self.source = source
        self.records: dict[MapKey, Record] = {}
        keys = Keys()
        for number, line in lines:
            if isinstance(line, ItemError) or line.get("schema") != CausalRecord.NAME:
                raise DataError(f"{source}: line {number}: expected a record of causal-metric")
            where = f"{source}: line {number}"
            view = _read_causal(line, where)
            if not isinstance(line.get("causal"), Mapping):
                raise DataError(f"{where}: causal: how it was scored is not there", _AGAIN)
            self.records[keys.of(view, _identities(view, where))] = line
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
        worst = max(_losses(before, now), key=lambda loss: loss.size)
        if worst.size <= tolerance:
            return None
        message = f"{worst.measure} {worst.before:.4f} -> {worst.now:.4f}"
        return Regression(name, message, worst.size)

    def _refuse_other_parameters(self, before: Record, now: Record) -> None:
        old, new = _parameters(before), _parameters(now)
        for name in new:
            if old.get(name) != new[name]:
                raise DataError(
                    f"{self.source}: scored with {name} {old.get(name)}, this run has {new[name]}",
                    "Compare runs of the same `blur`, `curve_steps`, `substrate`, `order`, `ties`.",
                )


class Keys:
    """Knows records by what they are about; equal ones are numbered in their order."""

    def __init__(self) -> None:
        self._seen: Counter[tuple[str, str, str, str]] = Counter()

    def of(self, view: SaliencyRecord, identities: tuple[str, str]) -> MapKey:
        """The key of the next record; paths have no part in it, for files move.

        `identities` are those of the query and of the retrieved image.
        """
        query, retrieved = identities
        asked = query if view.words is None else f"{query} {view.words.said}"
        known = (asked, retrieved, view.method, view.explains)
        self._seen[known] += 1
        return *known, self._seen[known]


def _read_causal(record: Record, where: str) -> CausalRecord:
    try:
        view = read_view(CausalRecord, record)
        _ = view.words  # raises, too
    except ItemError as error:
        raise DataError(f"{where}: {error.reason}") from None
    return view


def _identities(view: CausalRecord, where: str) -> tuple[str, str]:
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


def _losses(before: Record, now: Record) -> list[_Loss]:
    order = -1 if _parameters(now).get("order") == "lerf" else 1
    losses = []
    for measure, better in zip(MEASURES, (order, -order), strict=True):
        old, new = _number(before.get(measure)), _number(now.get(measure))
        size = better * (old - new)
        losses.append(_Loss(measure, old, new, math.inf if math.isnan(size) else size))
    return losses


def _number(value: object) -> float:
    """The number, NaN for everything else."""
    return float(value) if isinstance(value, int | float) else math.nan


def _parameters(record: Record) -> dict[str, object]:
    found = record.get("causal")
    known = renew_protocol(found) if isinstance(found, Mapping) else {}
    return {name: value for name, value in known.items() if name not in _MAY_DIFFER}
