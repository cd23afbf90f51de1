"""What changed in maps: mean differences by method, and the pairs that changed most."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

from xmir_cli.errors import ItemError
from xmir_cli.metrics.summary import estimate_all
from xmir_cli.scoring.compare.changes import SIDES, SideName
from xmir_cli.scoring.compare.maps import SCORED, TwoMaps
from xmir_cli.scoring.compare.numbers import (
    DIFFERENCE,
    PATIENTS,
    QUERIES,
    tell_intervals,
    with_interval,
)
from xmir_cli.scoring.compare.record_files import RecordFile
from xmir_cli.scoring.image_set import hash_pairs
from xmir_cli.scoring.names import AGREEMENTS, name_apart
from xmir_cli.scoring.numbers import put_number
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.compare import CompareRecord

_WHOLE = 1.0  # the rank correlation of a map with itself


def sum_up_maps(pairs: Sequence[TwoMaps], schema: str, seed: int) -> Iterator[Record]:
    """A record a method, and part of its maps: means, differences, and how far the maps agree."""
    evaluation = SCORED.get(schema)
    of = QUERIES if evaluation is None else evaluation.unit
    variants = _name_variants(pairs)
    methods: dict[tuple[str, str], list[TwoMaps]] = {}
    for pair in pairs:
        variant = variants[pair.new.method, pair.new.part, pair.new.settings]
        methods.setdefault((pair.new.method, variant), []).append(pair)
    for (method, variant), found in methods.items():
        units = [each.new.unit for each in found]
        patients = any(isinstance(unit, tuple) and unit[0] == "patient" for unit in units)
        yield {
            "method": method,
            **({"variant": variant} if variant else {}),
            **({"mask_name": found[0].new.part} if found[0].new.part else {}),
            "settings_old": json.loads(found[0].old.settings),
            "settings_new": json.loads(found[0].new.settings),
            "images_sha256": hash_pairs((each.new.query, each.new.retrieved) for each in found),
            "compared": len(found),
            "queries": len({each.new.query for each in found}),
            **_differences(found, seed),
            **_agreements(found, seed),
            "intervals": tell_intervals(units, PATIENTS if patients else of, seed),
        }


def list_map_changes(pairs: Sequence[TwoMaps]) -> list[Record]:
    """The means of each query's maps by method, in the order of `pairs`."""
    variants = _name_variants(pairs)
    found: dict[tuple[str, str, str], list[TwoMaps]] = {}
    for pair in pairs:
        new = pair.new
        variant = variants[new.method, new.part, new.settings]
        found.setdefault((new.query, new.method, variant), []).append(pair)
    return [
        {
            **own[0].new.told,
            "method": ", ".join(filter(None, [method, variant])),
            "compared": len(own),
            **_means(own),
        }
        for (_, method, variant), own in found.items()
    ]


def _name_variants(pairs: Sequence[TwoMaps]) -> dict[tuple[str, str, str], str]:
    """What tells apart the maps of one method, by method, part and settings of the new ones."""
    kinds = dict.fromkeys((each.new.method, each.new.part, each.new.settings) for each in pairs)
    methods: dict[str, list[str]] = {}
    for method, _, settings in kinds:
        methods.setdefault(method, []).append(settings)
    names = {
        (method, settings): name
        for method, found in methods.items()
        for settings, name in zip(found, name_apart(map(json.loads, found)), strict=True)
    }
    return {
        (method, part, settings): ", ".join(filter(None, [part, names[method, settings]]))
        for method, part, settings in kinds
    }


def _means(found: Sequence[TwoMaps]) -> Record:
    """Without intervals: the numbers of pairs that have them twice, and how far maps agree."""
    kept = {
        name: [each for each in found if name in each.differences]
        for each in found
        for name in each.differences
    }
    record: Record = {}
    for name, own in kept.items():
        put_number(record, name, "_old", fmean(each.old.numbers[name] for each in own))
        put_number(record, name, "_new", fmean(each.new.numbers[name] for each in own))
        put_number(record, name, DIFFERENCE, fmean(each.differences[name] for each in own))
    for name in AGREEMENTS:
        values = [vars(each.agreement)[name] for each in found if each.agreement is not None]
        known = [value for value in values if not math.isnan(value)]
        record |= {name: fmean(known)} if known else {}
    return record


def _differences(found: Sequence[TwoMaps], seed: int) -> Record:
    """The means of the pairs that have a number twice, and of its differences."""
    record: Record = {}
    for name in dict.fromkeys(name for each in found for name in each.differences):
        kept = [each for each in found if name in each.differences]
        columns = {
            "_old": [each.old.numbers[name] for each in kept],
            "_new": [each.new.numbers[name] for each in kept],
            DIFFERENCE: [each.differences[name] for each in kept],
        }
        estimates = estimate_all(columns, [each.new.unit for each in kept], seed)
        for suffix, each in estimates.items():
            put_number(record, name, suffix, each.mean)
        put_number(record, name, f"{DIFFERENCE}_low", estimates[DIFFERENCE].low)
        put_number(record, name, f"{DIFFERENCE}_high", estimates[DIFFERENCE].high)
    return record


def _agreements(found: Sequence[TwoMaps], seed: int) -> Record:
    """How far the maps of a pair agree, of those pairs where both can be read."""
    known = [each for each in found if each.agreement is not None]
    record: Record = {"agreements": len(known)}
    for name in AGREEMENTS:
        kept = [each for each in known if not math.isnan(vars(each.agreement)[name])]
        if kept:
            values = {name: [vars(each.agreement)[name] for each in kept]}
            units = [each.new.unit for each in kept]
            record |= with_interval(name, estimate_all(values, units, seed)[name])
    return record


def worst_maps(pairs: Sequence[TwoMaps]) -> list[TwoMaps]:
    """Those first whose numbers lost most, of maps without numbers those that agree least."""

    def badness(pair: TwoMaps) -> tuple[float, float]:
        agreed = math.nan if pair.agreement is None else pair.agreement.spearman
        before = pair.old.goodness
        changes = [value - before[name] for name, value in pair.new.goodness.items()]
        lost = sum(change for change in changes if not math.isnan(change))
        return lost, _WHOLE if math.isnan(agreed) else agreed

    return sorted(pairs, key=badness)


def map_records(pairs: Sequence[TwoMaps], files: Mapping[SideName, RecordFile]) -> Iterator[Record]:
    """The records of both models of these pairs, as they came, read again."""
    kept: dict[tuple[SideName, int], Record] = {}
    for side in SIDES:
        wanted = {(each.old if side == "old" else each.new).line for each in pairs}
        for number, line in files[side].lines():
            if number in wanted and not isinstance(line, ItemError):
                kept[side, number] = line
    for pair in pairs:
        for side in SIDES:
            record = kept[side, (pair.old if side == "old" else pair.new).line]
            yield {
                **record,
                "schema": CompareRecord.NAME,
                "side": side,
                "agreement": _tell_agreement(pair),
                "differences": pair.differences,
            }


def _tell_agreement(pair: TwoMaps) -> Record | None:
    if pair.agreement is None:
        return None
    return {
        name: None if math.isnan(value) else value for name, value in vars(pair.agreement).items()
    }
