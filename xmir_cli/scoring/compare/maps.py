"""Two files of saliency records, scored or not: the same pairs under two models."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from xmir_cli.causes import Cause
from xmir_cli.errors import DataError, ItemError
from xmir_cli.scoring.causal import CAUSAL
from xmir_cli.scoring.compare.changes import SIDES, SideName
from xmir_cli.scoring.compare.record_files import OneNetwork, RecordFile
from xmir_cli.scoring.evaluation import MATCHED, MapEvaluation, whose
from xmir_cli.scoring.localization import LOCALIZATION
from xmir_cli.scoring.map_baseline import Keys, MapKey, bare_key, name_settings
from xmir_cli.scoring.repeated import OneRun
from xmir_cli.store.maps import read_map_file
from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import read_view
from xmir_cli.wire.schemas.saliency import SaliencyRecord

if TYPE_CHECKING:
    from xmir_cli.metrics.sanity import Agreement

SCORED: Mapping[str, MapEvaluation] = {each.schema.NAME: each for each in (CAUSAL, LOCALIZATION)}

_TOLD = ("query", "query_text", "query_identity", "query_label", "query_patient")


@dataclass(frozen=True)
class ScoredMap:
    """What is held of a record: what it is about, its numbers, and how they were made."""

    line: int  # of its file
    name: str  # for people
    method: str
    part: str
    settings: str  # of the method, in JSON
    unit: Hashable  # whose the query is, of truth whose the image; or itself: what is independent
    query: str  # which that is
    retrieved: str  # the identity of the image that was found
    told: Record  # what records tell of it
    numbers: Mapping[str, float]
    goodness: Mapping[str, float]  # of those by which the worst are told: more is better
    made: dict[str, object]
    saliency: str | None
    concept: str | None  # the SHA-256 of its file, where the map is of one
    mask: object  # what tells the mask that it was placed in from others, where it was in one


@dataclass(frozen=True)
class TwoMaps:
    """The maps of one pair by one method under both models."""

    old: ScoredMap
    new: ScoredMap
    agreement: "Agreement | None"  # None where a file is not there, or the sizes differ

    @property
    def differences(self) -> dict[str, float]:
        """New less old, of the numbers that both have."""
        return {
            name: value - self.old.numbers[name]
            for name, value in self.new.numbers.items()
            if name in self.old.numbers
        }

    @property
    def is_failed(self) -> bool:
        """Whether one of them lacks a number that the other has."""
        return self.old.numbers.keys() != self.new.numbers.keys()


@dataclass
class MapFiles:
    """What is in both files, in one of them alone, and what cannot be read."""

    pairs: Sequence[TwoMaps]
    only: Mapping[SideName, Sequence[str]]  # the names of those that the other file has not
    failed: Mapping[SideName, Sequence[tuple[int, ItemError]]]
    models: Mapping[SideName, object]  # the networks that the maps are of, where that is told


def read_map_files(files: Mapping[SideName, RecordFile], schema: str) -> MapFiles:
    """The pairs of two files of one schema; raises DataError where there is none, and for two runs.

    Pairs are matched by the identities of the query and the retrieved image, the method and the
    side that is explained, wherever their files lie; by the method's settings, too, where a file
    has maps of several.
    """
    evaluation = SCORED.get(schema)
    found: dict[SideName, dict[MapKey, ScoredMap]] = {}
    failed: dict[SideName, list[tuple[int, ItemError]]] = {"old": [], "new": []}
    models: dict[SideName, object] = {}
    for side in SIDES:
        keys, network, found[side] = Keys(), OneNetwork(files[side].source), {}
        run = OneRun(files[side].source)
        for number, line in files[side].lines():
            try:
                if isinstance(line, ItemError):
                    raise line
                view = _view(line, evaluation, schema)
                key, scored = _read(number, view, evaluation, keys)
            except ItemError as error:
                failed[side].append((number, error.bare))
                continue
            network.check(line)
            run.check(number, view, scored.part, scored.mask)
            found[side][key] = scored
            models.setdefault(side, line.get("model"))
    old, new = _match_settings(found["old"], found["new"])
    shared = [key for key in new if key in old]
    if not shared:
        raise DataError(
            "the two have no map in common",
            MATCHED,
        )
    pairs = [TwoMaps(old[key], new[key], _compare(old[key], new[key])) for key in shared]
    _refuse_other_scoring(pairs, files)
    only = {
        "old": [each.name for key, each in old.items() if key not in new],
        "new": [each.name for key, each in new.items() if key not in old],
    }
    return MapFiles(pairs, {"old": only["old"], "new": only["new"]}, failed, models)


def _view(record: Record, evaluation: MapEvaluation | None, schema: str) -> SaliencyRecord:
    if record.get("schema") != schema:
        raise ItemError(Cause.BAD_RECORD, f"schema: expected {schema}, as in the lines before")
    return read_view(SaliencyRecord if evaluation is None else evaluation.schema, record)


def _read(
    number: int, view: SaliencyRecord, evaluation: MapEvaluation | None, keys: Keys
) -> tuple[MapKey, ScoredMap]:
    record = view.record
    query = view.query_identity if view.query else ""
    if query is None or view.retrieved_identity is None:
        raise ItemError(
            Cause.BAD_RECORD,
            "query_identity, retrieved_identity: expected the hashes of the images, found nothing",
        )
    part = "" if evaluation is None else str(record.get(evaluation.part) or "")
    key = keys.of(view, (query, view.retrieved_identity), part)
    words = "" if view.words is None else view.words.said
    image, patient = (
        (query, whose(record, "query")) if evaluation is None else evaluation.unit_of(record)
    )
    told = ", ".join(each for each in (view.method, view.explains, part) if each)
    return key, ScoredMap(
        number,
        f"{view.query or view.query_text} -> {view.retrieved} ({told})",
        view.method,
        part,
        name_settings(view),
        ("patient", patient) if patient else ("image", image, words),
        " ".join(filter(None, [query, words])),
        view.retrieved_identity,
        {name: record[name] for name in _TOLD if record.get(name) is not None},
        _numbers(record, evaluation),
        {} if evaluation is None else evaluation.goodness(record),
        {} if evaluation is None else evaluation.compared_by(record),
        view.saliency,
        view.target_sha256,
        None if evaluation is None else evaluation.find_mask(record),
    )


def _numbers(record: Record, evaluation: MapEvaluation | None) -> dict[str, float]:
    if evaluation is not None:
        return evaluation.numbers(record)
    value = record.get("similarity_check", record.get("similarity"))
    return {"similarity": float(value)} if isinstance(value, int | float) else {}


def _compare(old: ScoredMap, new: ScoredMap) -> "Agreement | None":
    """How much two maps agree; None where that cannot be said."""
    maps = []
    for each in (old, new):
        if each.saliency is None:
            return None
        try:
            maps.append(np.asarray(read_map_file(Path(each.saliency)), dtype=np.float64))
        except (DataError, ItemError, OSError):
            return None
    first, second = maps
    from xmir_cli.metrics.sanity import agreement  # noqa: PLC0415 # torch, which hits do not need

    return agreement(first, second) if first.shape == second.shape else None


def _match_settings(
    old: Mapping[MapKey, ScoredMap], new: Mapping[MapKey, ScoredMap]
) -> tuple[Mapping[MapKey, ScoredMap], Mapping[MapKey, ScoredMap]]:
    """Maps by what they are matched by: settings are in it where a method has several in a file.

    Else they may differ: the names of layers are those of an architecture.
    """
    kinds: dict[str, set[tuple[int, str]]] = {}
    for number, maps in enumerate((old, new)):
        for each in maps.values():
            kinds.setdefault(each.method, set()).add((number, each.settings))
    several = {
        method for method, found in kinds.items() if len(found) > len({side for side, _ in found})
    }

    def rename(maps: Mapping[MapKey, ScoredMap]) -> Mapping[MapKey, ScoredMap]:
        return {
            key if each.method in several else bare_key(key): each for key, each in maps.items()
        }

    return rename(old), rename(new)


def _refuse_other_scoring(pairs: Sequence[TwoMaps], files: Mapping[SideName, RecordFile]) -> None:
    """Raise DataError where not all numbers are of one kind."""
    first = pairs[0].old
    for side in SIDES:
        for pair in pairs:
            own = pair.old if side == "old" else pair.new
            for name in first.made | own.made:
                if own.made.get(name) != first.made.get(name):
                    raise DataError(
                        f"{files[side].source}: line {own.line}: scored with "
                        f"{_say(own.made, name)}; line {first.line} of {files['old'].source} with "
                        f"{_say(first.made, name)}",
                        "Compare maps that were scored in the same way.",
                    )


def _say(made: Mapping[str, object], name: str) -> str:
    return f"{name} {made[name]}" if name in made else f"no {name}"
