"""Scored records summed up by method."""

import json
import sys
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field

from xmir_cli.metrics.summary import Estimate, estimate
from xmir_cli.scoring.names import MEASURES
from xmir_cli.wire.old_settings import renew_settings
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.causal_summary import CausalSummaryRecord

TIED = 0.01  # the fraction of tied pixels from which a map is worth a warning


@dataclass
class _Method:
    method: str
    settings: object
    parameters: object
    queries: list[str] = field(default_factory=list)
    values: dict[str, "array[float]"] = field(default_factory=dict)


class Tally:
    """The numbers of all records so far, apart for every method and its settings."""

    def __init__(self, seed: int) -> None:
        self.seed = seed  # of the bootstrap
        self.total = 0
        self.tied = 0  # maps with more than TIED tied pixels
        self._methods: dict[str, _Method] = {}

    def add(self, record: Record) -> None:
        """Take one record of causal-metric into account."""
        method, settings = str(record.get("method", "")), record.get("settings")
        if isinstance(settings, Mapping):
            settings = renew_settings(method, settings)
        key = json.dumps([method, settings], sort_keys=True)
        row = self._methods.setdefault(key, _Method(method, settings, record["causal"]))
        row.queries.append(sys.intern(str(record["query"])))  # of many records
        for name, value in read_numbers(record).items():
            row.values.setdefault(name, array("d")).append(value)
        tied = record["tied_fraction"]
        self.tied += isinstance(tied, float) and tied > TIED
        self.total += 1

    def means(self) -> list[tuple[str, dict[str, float]]]:
        """Every method with its mean numbers; those of controls are called `NAME.CONTROL`."""
        return [
            (row.method, {name: sum(values) / len(values) for name, values in row.values.items()})
            for row in self._methods.values()
        ]

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
        for name, values in row.values.items():
            _put(record, name, estimate(values, row.queries, self.seed))
        return {**record, "settings": row.settings, "causal": row.parameters}


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
