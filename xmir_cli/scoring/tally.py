"""Scored records summed up by method."""

import json
import sys
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from xmir_cli.metrics.summary import Estimate, estimate
from xmir_cli.scoring.names import MEASURES
from xmir_cli.wire.old_settings import renew_protocol, renew_settings
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.causal_summary import CausalSummaryRecord

TIED = 0.02  # what the order of ties may move an area by without a warning; methods differ by it


@dataclass
class _Method:
    method: str
    settings: object
    parameters: object
    queries: list[str] = field(default_factory=list)
    patients: list[str | None] = field(default_factory=list)  # of the queries

    @property
    def units(self) -> list[tuple[bool, str]]:
        """What is independent: the patients of the queries, a query where nobody knows whose."""
        pairs = zip(self.patients, self.queries, strict=True)
        return [(patient is not None, patient or query) for patient, query in pairs]

    values: dict[str, "array[float]"] = field(default_factory=dict)

    @property
    def shared(self) -> dict[str, "array[float]"]:
        """The numbers that every record has: a mean of others would be one of fewer records."""
        return {name: each for name, each in self.values.items() if len(each) == len(self.queries)}


class Tally:
    """The numbers of all records so far, apart for every method and its settings."""

    def __init__(self, seed: int) -> None:
        self.seed = seed  # of the bootstrap
        self.total = 0
        self.tied = 0  # maps whose ties may move an area by more than TIED
        self._methods: dict[str, _Method] = {}

    def add(self, record: Record) -> None:
        """Take one record of causal-metric into account."""
        method, settings = str(record.get("method", "")), record.get("settings")
        if isinstance(settings, Mapping):
            settings = renew_settings(method, settings)
        parameters = cast("Mapping[str, object]", record["causal"])
        scored = {name: parameters[name] for name in parameters if name != "fill"}
        key = json.dumps([method, settings, renew_protocol(scored)], sort_keys=True)
        row = self._methods.setdefault(key, _Method(method, settings, parameters))
        # interned, for they are of many records
        row.queries.append(sys.intern(_query_of(record)))
        patient = _patient_of(record)
        row.patients.append(None if patient is None else sys.intern(patient))
        for name, value in read_numbers(record).items():
            row.values.setdefault(name, array("d")).append(value)
        effect = record.get("tie_effect")
        self.tied += isinstance(effect, float) and effect > TIED
        self.total += 1

    def means(self) -> list[tuple[str, dict[str, float]]]:
        """Every method with its mean numbers; those of controls are called `NAME.CONTROL`."""
        return [
            (row.method, {name: sum(values) / len(values) for name, values in row.shared.items()})
            for row in self._methods.values()
        ]

    def partial(self) -> list[str]:
        """For each method the controls that only some of its records were scored beside."""
        told = []
        for row in self._methods.values():
            left = sorted(
                {name.partition(".")[2] for name in row.values.keys() - row.shared.keys()}
            )
            if left:
                told.append(f"{row.method}: not all records have the controls {', '.join(left)}")
        return told

    def rows(self) -> list[Record]:
        """One record a method: mean, standard deviation, n and 95 % interval of every number."""
        return [self._row(row) for row in self._methods.values()]

    def _row(self, row: _Method) -> Record:
        record: Record = {
            "schema": CausalSummaryRecord.NAME,
            "method": row.method,
            "n": len(row.queries),
            "queries": len(set(row.queries)),
        }
        if any(row.patients):
            record["patients"] = len(set(row.units))
        for name, values in row.shared.items():
            _put(record, name, estimate(values, row.units, self.seed))
        return {**record, "settings": row.settings, "causal": row.parameters}


def _query_of(record: Record) -> str:
    """Which image the query is, wherever it lies."""
    image = str(record.get("query_identity") or record.get("query") or "")
    words = [record.get(key) for key in ("query_text", "query_templates", "text_weight")]
    return image if words[0] is None else json.dumps([image, *words])


def _patient_of(record: Record) -> str | None:
    """Whose the query is: as recorded, or as told of the same image where it was retrieved."""
    known = record.get("query_patient")
    query = record.get("query_identity")
    if not known and query is not None and query == record.get("retrieved_identity"):
        meta = record.get("meta")
        known = (meta if isinstance(meta, Mapping) else record).get("patient")
    return str(known) if known else None


def _put(record: Record, name: str, found: Estimate) -> None:
    """Set NAME, NAME_sd, NAME_low and NAME_high, under the control's name where there is one."""
    measure, _, control = name.partition(".")
    parts = {"": found.mean, "_sd": found.sd, "_low": found.low, "_high": found.high}
    for suffix, value in parts.items():
        key = f"{measure}{suffix}"
        if control:
            inner = record.setdefault(key, {})
            assert isinstance(inner, dict)
            inner[control] = value
        else:
            record[key] = value


def read_numbers(record: Mapping[str, object]) -> dict[str, float]:
    """The numbers of a record of causal-metric, those of controls as `insertion_gain.random`."""
    found: dict[str, float] = {}
    for measure in MEASURES:
        for name in (measure, f"{measure}_control", f"{measure}_gain"):
            value = record.get(name)
            if isinstance(value, int | float):
                found[name] = float(value)
            elif isinstance(value, Mapping):
                found |= {f"{name}.{control}": float(each) for control, each in value.items()}
    return found
