"""Scored records summed up by method."""

import json
import sys
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from xmir_cli.metrics.summary import Estimate, estimate_all
from xmir_cli.scoring.evaluation import MapEvaluation, name_query
from xmir_cli.scoring.image_set import hash_pairs
from xmir_cli.scoring.names import name_apart
from xmir_cli.scoring.numbers import Numbers, name_numbers, pick_numbers, put_number
from xmir_cli.wire.old_settings import renew_settings
from xmir_cli.wire.records import Record

_SHORT = 8  # of a hash, for people
TIED = 0.02  # what the order of ties may move an area by without a warning; methods differ by it


@dataclass
class _Method:
    method: str
    part: object  # which of several records of a map; None where there is one
    settings: object
    parameters: object
    network: str  # the hash of its weights; empty where that is not told
    variant: str = ""  # in what it differs from others of its name
    images: list[str] = field(default_factory=list)  # queries, or images that are explained
    patients: list[str | None] = field(default_factory=list)  # of these
    pairs: list[tuple[str, str]] = field(default_factory=list)  # who asks, and what is found
    values: dict[str, "array[float]"] = field(default_factory=dict)

    @property
    def units(self) -> list[tuple[bool, str]]:
        """What is independent: the patients of the images, an image where nobody knows whose."""
        pairs = zip(self.patients, self.images, strict=True)
        return [(patient is not None, patient or image) for patient, image in pairs]

    @property
    def name(self) -> str:
        """What people call it."""
        return ", ".join(filter(None, [self.method, str(self.part or ""), self.variant]))

    @property
    def shared(self) -> dict[str, "array[float]"]:
        """The numbers that every record has: a mean of others would be one of fewer records."""
        return {name: each for name, each in self.values.items() if len(each) == len(self.images)}


class Tally:
    """The numbers of all records so far, apart for every method and its settings."""

    def __init__(self, evaluation: MapEvaluation, seed: int) -> None:
        self.evaluation = evaluation
        self.seed = seed  # of the bootstrap
        self.total = 0
        self.empty = 0  # maps of an image without any similarity to lose
        self.tied = 0  # maps whose ties may move an area by more than TIED
        self._methods: dict[str, _Method] = {}
        self._same: Counter[tuple[str, str]] = Counter()  # pairs in which two methods' maps are

    def add(self, record: Record) -> None:
        """Take one record of the command into account."""
        method, settings = str(record.get("method", "")), record.get("settings")
        if isinstance(settings, Mapping):
            settings = renew_settings(method, settings)
        known = self.evaluation.parameters(record)
        scored = {name: known[name] for name in known if name not in self.evaluation.of_one}
        part = record.get(self.evaluation.part)
        network = network_of(record)
        key = json.dumps([method, part, settings, scored, network], sort_keys=True)
        parameters = record[self.evaluation.key]
        row = self._methods.setdefault(key, _Method(method, part, settings, parameters, network))
        image, patient = self.evaluation.unit_of(record)
        # interned, for they are of many records
        row.images.append(sys.intern(image))
        retrieved = str(record.get("retrieved_identity") or record.get("retrieved") or "")
        row.pairs.append((sys.intern(name_query(record)), sys.intern(retrieved)))
        row.patients.append(None if patient is None else sys.intern(patient))
        for name, value in self.evaluation.numbers(record).items():
            row.values.setdefault(name, array("d")).append(value)
        self._count_same(method, record.get("same_as"))
        effect = record.get(self.evaluation.ties)
        self.tied += isinstance(effect, float) and effect > TIED
        curve = record.get(self.evaluation.curve)
        self.empty += isinstance(curve, list) and curve[:1] == [0]
        self.total += 1

    def _name_variants(self) -> None:
        """Tell apart what has one name: by the settings that are not the same in all of it."""
        named: dict[str, list[_Method]] = {}
        for row in self._methods.values():
            row.variant = ""
            named.setdefault(row.name, []).append(row)
        for rows in named.values():
            for row, variant in zip(rows, name_apart(map(_told, rows)), strict=True):
                row.variant = variant

    def numbers(self) -> list[tuple[str, Numbers]]:
        """Every method with the numbers of its record; those of controls are `NAME.CONTROL`."""
        found = [pick_numbers(record, self.evaluation.summary) for record in self.rows()]
        names = [row.name for row in self._methods.values()]
        return list(zip(names, map(name_numbers, found), strict=True))

    def partial(self) -> list[str]:
        """For each method the controls that only some of its records were scored beside."""
        self._name_variants()
        told = []
        for row in self._methods.values():
            left = sorted(
                {name.partition(".")[2] for name in row.values.keys() - row.shared.keys()}
            )
            if left:
                told.append(f"{row.name}: not all records have the controls {', '.join(left)}")
        return told

    def same(self) -> list[str]:
        """The methods whose maps are the same, in how many of the pairs."""
        return [
            f"{other} and {first} are the same map in {count} of {self._count(first)} pairs: what "
            "they score is one finding"
            for (first, other), count in self._same.items()
        ]

    def _count_same(self, method: str, others: object) -> None:
        """Take into account that a record's map is also that of methods before it."""
        for other in others if isinstance(others, list) else ():
            self._same[method, str(other)] += 1

    def _count(self, method: str) -> int:
        return sum(len(row.images) for row in self._methods.values() if row.method == method)

    def rows(self) -> list[Record]:
        """One record a method: mean, standard deviation, n and 95 % interval of every number."""
        self._name_variants()
        return [self._row(row) for row in self._methods.values()]

    def _row(self, row: _Method) -> Record:
        record: Record = {
            "schema": self.evaluation.summary.NAME,
            "method": row.method,
            **({"variant": row.variant} if row.variant else {}),
            **({} if row.part is None else {self.evaluation.part: row.part}),
            "n": len(row.images),
            self.evaluation.unit: len(set(row.images)),
        }
        if any(row.patients):
            record["patients"] = len(set(row.units))
        for name, found in estimate_all(row.shared, row.units, self.seed).items():
            _put(record, name, found)
        record["images_sha256"] = hash_pairs(row.pairs)
        return {**record, "settings": row.settings, self.evaluation.key: row.parameters}


def network_of(record: Record) -> str:
    """The hash that names the network behind a record; empty where it does not say."""
    model = record.get("model")
    if not isinstance(model, Mapping):
        return ""
    white = model.get("whitening")  # fitted on embeddings of the weights, so that it names both
    return str((white or {}).get("sha256") or model.get("weights_sha256") or "")


def _told(row: _Method) -> dict[str, object]:
    """What may tell it apart from others of its name."""
    settings = row.settings if isinstance(row.settings, Mapping) else {}
    return {**settings, "network": row.network[:_SHORT]}


def _put(record: Record, name: str, found: Estimate) -> None:
    """Set NAME, NAME_sd, NAME_low and NAME_high."""
    parts = {"": found.mean, "_sd": found.sd, "_low": found.low, "_high": found.high}
    for suffix, value in parts.items():
        put_number(record, name, suffix, value)
