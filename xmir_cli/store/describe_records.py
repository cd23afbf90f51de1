"""What a file of records holds."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from xmir_cli.errors import DataError, ItemError
from xmir_cli.labels import LABEL, parse_labels
from xmir_cli.store.counts import show_counts
from xmir_cli.store.jsonl import open_lines, read_records
from xmir_cli.wire.records import Record

_LABELS = ("label", "split", "query_label", "retrieved_label", "match", "method")
_SAID = {True: "yes", False: "no"}


@dataclass
class _Range:
    """The numbers under one key so far."""

    minimum: float
    maximum: float
    mean: float = 0.0
    count: int = 0

    def add(self, value: float) -> None:
        self.minimum, self.maximum = min(self.minimum, value), max(self.maximum, value)
        self.count += 1
        self.mean += value / self.count - self.mean / self.count  # no sum that grows too large

    def to_json(self) -> Record:
        return {"minimum": self.minimum, "maximum": self.maximum, "mean": self.mean}


class _Tally:
    """What was counted of the records so far."""

    def __init__(self) -> None:
        self.schemas = Counter[str]()
        self.columns: dict[str, None] = {}
        self.labels: dict[str, Counter[str]] = {}
        self.ranges: dict[str, _Range] = {}
        self.queries: set[int] = set()  # their hashes

    def add(self, record: Record) -> None:
        self.schemas[str(record.get("schema") or "-")] += 1
        image = record.get("query_identity") or record.get("query")
        words = record.get("query_text")
        if image or words:
            self.queries.add(hash((str(image), str(words))))
        for name, value in record.items():
            self.columns[name] = None
            if name in _LABELS:
                said = _SAID[value] if isinstance(value, bool) else value
                texts = ["-"] if said in (None, "") else [str(said)]
                if name.endswith(LABEL):
                    texts = sorted(parse_labels(said)) or ["-"]
                self.labels.setdefault(name, Counter()).update(texts)
            elif isinstance(value, int | float) and not isinstance(value, bool):
                self._number(name, value)

    def _number(self, name: str, value: float) -> None:
        try:
            number = float(value)
        except OverflowError:  # a whole number that no float can hold
            return
        self.ranges.setdefault(name, _Range(number, number)).add(number)


def describe_records(path: Path) -> Record:
    """How many records there are, of what schemas, with what keys, labels and numbers.

    Raises DataError where no line is a record.
    """
    tally, unusable = _Tally(), 0
    with open_lines(str(path)) as lines:
        for _, record in read_records(lines):
            if isinstance(record, ItemError):
                unusable += 1
            else:
                tally.add(record)
    if not tally.schemas:
        raise DataError(f"{path}: no line of it is a record")
    return {
        "kind": "records",
        "rows": tally.schemas.total(),
        "unusable": unusable,
        "schemas": show_counts(tally.schemas),
        **({"queries": len(tally.queries)} if tally.queries else {}),
        "columns": [name for name in tally.columns if name != "schema"],
        "labels": {name: show_counts(counts) for name, counts in tally.labels.items()},
        "ranges": {name: found.to_json() for name, found in tally.ranges.items()},
    }
