"""Two files of saliency records compared, scored or not."""

import json

from xmir_cli.console import Skips
from xmir_cli.render.junit import JunitCase
from xmir_cli.scoring.compare.changes import SIDES, SideName
from xmir_cli.scoring.compare.map_numbers import (
    list_map_changes,
    map_records,
    sum_up_maps,
    worst_maps,
)
from xmir_cli.scoring.compare.maps import MapFiles, read_map_files
from xmir_cli.scoring.compare.record_files import RecordFile
from xmir_cli.scoring.compare.terms import ComparisonResult, ComparisonTerms
from xmir_cli.scoring.names import name_apart


def compare_maps(
    old: RecordFile, new: RecordFile, terms: ComparisonTerms, skips: Skips
) -> ComparisonResult:
    """The maps of the pairs that both files have."""
    schema = new.find_schema()
    files: dict[SideName, RecordFile] = {"old": old, "new": new}
    found = read_map_files(files, schema)
    for side in SIDES:
        for number, error in found.failed[side]:
            skips.add(f"{files[side].source}: line {number}", error)
    halves = [each for each in found.pairs if each.is_failed]
    counts = {
        "only_old": len(found.only["old"]),
        "only_new": len(found.only["new"]),
        "failed": skips.total + len(halves),
        "scoring": found.pairs[0].new.made or None,  # all were in one way
        **{f"model_{side}": each for side, each in found.models.items() if each},
    }
    summaries = [{**each, **counts} for each in sum_up_maps(found.pairs, schema, terms.seed)]
    ordered = worst_maps(found.pairs)
    worst = ordered[: terms.worst]
    return ComparisonResult(
        "maps",
        summaries,
        lambda: map_records(worst, files),
        list_map_changes(ordered),
        _cases(found),
        _notes(found, len(halves)),
    )


def _notes(found: MapFiles, halves: int) -> list[str]:
    """What is left out of means, and which methods were asked in another way."""
    told = []
    if halves:
        told.append(f"{halves} maps have a number under one model only: left out of its mean")
    refitted = sum(each.old.concept != each.new.concept for each in found.pairs)
    if refitted:
        told.append(f"{refitted} maps are of concepts that have one name, and are not the same")
    remarked = sum(each.old.mask != each.new.mask for each in found.pairs)
    if remarked:
        told.append(f"{remarked} maps were placed in other masks of the same images")
    asked = dict.fromkeys(
        (each.new.method, each.old.settings, each.new.settings)
        for each in found.pairs
        if each.old.settings != each.new.settings
    )
    for method, *settings in asked:
        old, new = name_apart(map(json.loads, settings))
        told.append(f"{method} was made with other settings: {old} in OLD, {new} in NEW")
    return told


def _cases(found: MapFiles) -> list[JunitCase]:
    """What one file has alone is missing in the other; what has no number failed."""
    return [
        *(
            JunitCase("compare", name, missing=f"not in the {other} file")
            for side, other in zip(SIDES, SIDES[::-1], strict=True)
            for name in found.only[side]
        ),
        *(
            JunitCase("compare", f"{side}: line {number}", error=error.reason)
            for side in SIDES
            for number, error in found.failed[side]
        ),
        *(
            JunitCase("compare", each.new.name, error="a number is there under one model only")
            for each in found.pairs
            if each.is_failed
        ),
    ]
