"""The numbers of a comparison over all queries, with paired bootstrap intervals by patient."""

from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from xmir_cli.metrics.intervals import Interval, intervals
from xmir_cli.metrics.scores import Scores
from xmir_cli.metrics.summary import RESAMPLES, Estimate, estimate_all
from xmir_cli.scoring.compare.changes import SideName
from xmir_cli.wire.records import Record

_TURNS = {  # nothing found is no right answer
    "right_to_wrong": {"right to wrong", "right to none"},
    "wrong_to_right": {"wrong to right", "none to right"},
}
DIFFERENCE = "_difference"
PATIENTS, QUERIES = "patients", "queries"  # what intervals are of


def sum_up_changes(changes: Sequence[Record], units: Sequence[Hashable], seed: int) -> Record:
    """Means of the numbers that say how much of the rankings stayed, with their intervals."""
    names = [name for name in changes[0] if name.startswith("overlap_at_")]
    columns = {}
    kept = [row for row, each in enumerate(changes) if each["rbo"] is not None]
    for name in [*names, "rbo", "came", "went"]:
        columns[name] = [_float(changes[row][name]) for row in kept]
    found = estimate_all(columns, [units[row] for row in kept], seed) if kept else {}
    record: Record = {}
    for name in columns:  # no query was answered by either: there is no mean
        nothing = {name: None, f"{name}_low": None, f"{name}_high": None}
        record |= with_interval(name, found[name]) if kept else nothing
    known = [each["first_hit"] for each in changes if each["first_hit"] is not None]
    turns = {name: sum(each in told for each in known) for name, told in _TURNS.items()}
    return {**record, **(turns if known else dict.fromkeys(turns))}


def with_interval(name: str, found: Estimate) -> Record:
    """A mean with the ends of its interval."""
    return {name: found.mean, f"{name}_low": found.low, f"{name}_high": found.high}


def sum_up_differences(
    scores: Mapping[SideName, Scores], units: Sequence[Hashable], seed: int, whole: bool = True
) -> Record:
    """Means under both models and of the differences, in the form of `retrieval-metric`.

    Both models answer the same queries, so a resample draws the same of both. `whole` says whether
    there is a query of every label: else means over labels are null.
    """
    old, new = scores["old"], scores["new"]
    apart = new.minus(old)
    ends = intervals(apart, units, seed)
    before, after, between = (each.by_label() for each in (old, new, apart))
    counts = new.count_by_label()
    macro = _tell(old.macro(), new.macro(), apart.macro(), ends.macro)
    return {
        "queries": int(new.scored.sum()),
        "dropped": new.dropped,
        **_tell(old.micro(), new.micro(), apart.micro(), ends.micro),
        "macro": macro if whole else dict.fromkeys(macro),
        "labels": {
            label: {
                "queries": counts[label],
                **_tell(before[label], after[label], between[label], ends.by_label[label]),
            }
            for label in between
        },
    }


def tell_intervals(units: Sequence[Hashable], of: str, seed: int) -> Record:
    """Of what the intervals are: patients, or queries or images where nobody knows these."""
    return {"of": of, "units": len(set(units)), "resamples": RESAMPLES, "level": 0.95, "seed": seed}


def _tell(
    old: Mapping[str, float],
    new: Mapping[str, float],
    apart: Mapping[str, float],
    ends: Mapping[str, Interval],
) -> Record:
    found: Record = {}
    for name, difference in apart.items():
        low, high = ends[name]
        found |= {
            f"{name}_old": old[name],
            f"{name}_new": new[name],
            f"{name}{DIFFERENCE}": difference,
            f"{name}{DIFFERENCE}_low": low,
            f"{name}{DIFFERENCE}_high": high,
        }
    return found


def _float(value: object) -> float:
    return float(value) if isinstance(value, int | float) else float(np.nan)
