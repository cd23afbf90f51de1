"""Scored records summed up by method."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from xmir_cli.metrics.summary import Estimate, estimate
from xmir_cli.records import Record

SUMMARY = "xmir.causal-summary/1"
MEASURES = ("insertion", "deletion")


@dataclass
class _Method:
    method: str
    settings: object
    queries: list[str] = field(default_factory=list)
    values: dict[str, list[float]] = field(default_factory=dict)

    def estimates(self, seed: int) -> dict[str, Estimate]:
        return {name: estimate(values, self.queries, seed) for name, values in self.values.items()}


class Tally:
    """The numbers of all records so far, apart for every method and its settings."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.methods: dict[str, _Method] = {}
        self.total = 0
        self.tied = 0  # records with more than one tied pixel in a hundred

    def add(self, record: Record) -> None:
        """Take one record of causal-metric into account."""
        method, settings = str(record.get("method", "")), record.get("settings")
        key = json.dumps([method, settings], sort_keys=True)
        row = self.methods.setdefault(key, _Method(method, settings))
        row.queries.append(str(record["query"]))
        for name, value in numbers(record).items():
            row.values.setdefault(name, []).append(value)
        self.total += 1
        tied = record["tied_fraction"]
        self.tied += isinstance(tied, float) and tied > 0.01

    def means(self) -> list[tuple[str, dict[str, float]]]:
        """Every method with its mean numbers."""
        return [
            (row.method, {name: sum(values) / len(values) for name, values in row.values.items()})
            for row in self.methods.values()
        ]

    def rows(self) -> list[Record]:
        """One record a method: mean, standard deviation, n and interval of every number."""
        return [self._row(row) for row in self.methods.values()]

    def _row(self, row: _Method) -> Record:
        record: Record = {"schema": SUMMARY, "method": row.method, "n": len(row.queries)}
        record["queries"] = len(set(row.queries))
        for name, found in row.estimates(self.seed).items():
            record[name] = found.mean
            record[f"{name}_sd"] = found.sd
            record[f"{name}_low"], record[f"{name}_high"] = found.low, found.high
        record["settings"] = row.settings
        return record


def numbers(record: Mapping[str, object]) -> dict[str, float]:
    """The numbers of a record that are summed up, those of controls by `NAME_CONTROL`."""
    found = {name: record[name] for name in MEASURES}
    return {name: value for name, value in found.items() if isinstance(value, float)}
