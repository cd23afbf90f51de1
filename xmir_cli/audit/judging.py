"""The counts of an audit as checks: by what two runs are compared; imports nothing heavy."""

from collections.abc import Mapping, Sequence

from xmir_cli.gates import Gate, limit
from xmir_cli.scoring.check_rules import CheckRules
from xmir_cli.scoring.numbers import name_numbers, number
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.audit_summary import AuditSummaryRecord

_HOW = ("tests", "where", "exclude_same", "split", "neighbors", "probability", "fence_ranges")
_COUNTS = {  # of what is wrong
    *("duplicates", "duplicate_groups", "near_copies", "unreadable", "leaks", "leaked_patients"),
    *("suspect_labels", "label_conflicts", "outliers", "hubs", "unreached", "skipped"),
}
_OF_COPIES = {  # of which there may be more where images cannot be read
    *("duplicates", "duplicate_groups", "near_copies", "leaks", "label_conflicts", "left_out"),
}
_MISSED = {  # what is not known of some images, and the counts of which there may be more for it
    "unreadable": ("cannot be looked at", _OF_COPIES),
    "skipped": ("cannot be used", {*_COUNTS, "left_out"} - {"unreadable", "skipped"}),
}
_TOO_FEW = "fewer than five images have a neighbour of another patient"
_ALL_NEIGHBOURS = "there are no more images of other patients than neighbours of one"
_WHY_NULL = {
    **dict.fromkeys(("outliers", "fence"), _TOO_FEW),
    "skewness": _ALL_NEIGHBOURS,
    "label_conflicts": "no two images have different labels",
}


def _goodness(record: Record) -> dict[str, float]:
    """The counts as their opposites: none may grow."""
    named = name_numbers(RULES.found(record))
    return {name: -each for name, each in named.items() if each is not None and name in _COUNTS}


def _doubt(record: Record, gate: Gate, gates: Sequence[Gate]) -> str:
    """That a count may be larger, for images are not all known; nothing where they are.

    Whoever bounds the number of such images, too, has said how many there may be.
    """
    accepted = {each.name for each in gates if each.is_limit}
    missed = {
        name: f"{record[name]} image{'' if record[name] == 1 else 's'} {told}"
        for name, (told, counts) in _MISSED.items()
        if record.get(name) and name not in accepted and gate.name in counts
    }
    if not missed or not gate.is_limit:
        return ""
    accepting = " ".join(limit(name, number(record[name])).text for name in missed)
    return (
        f"gate {gate.text}: found {record[gate.name]}, but {' and '.join(missed.values())}, so "
        f"that there may be more; {accepting} accepts that"
    )


def _why_null(record: Record, name: str) -> str:
    """Why a count could not be had."""
    if name in {"leaks", "leaked_patients"}:
        return _why_no_leaks(record, name)
    if name in {"near_copies", "unreadable"}:
        return "images are not read" if record["no_images"] else "no image can be read"
    if name in {"suspect_labels", "suspect_labels_expected", "calibration_error"}:
        return _why_no_doubt(record)
    if name in {"hubs", "unreached"}:
        return _why_no_hub(record, name)
    return _WHY_NULL.get(name, "")


def _why_no_doubt(record: Record) -> str:
    if not record.get("votes"):
        return "no image has a labelled neighbour of another patient but for copies of it"
    if record["calibration_error"] is None:
        return "all labelled images have the same labels"
    return (
        f"neighbours tell so little of labels that none has a probability of "
        f"{record['probability']:g} by them"
    )


def _why_no_hub(record: Record, name: str) -> str:
    if record["skewness"] is None:
        return _ALL_NEIGHBOURS
    if name == "hubs":
        return (
            "images are too few for one to be in more than five times as many answers as the mean"
        )
    return "images are so few that each is in an answer, whatever their similarities"


def _why_no_leaks(record: Record, name: str) -> str:
    splits = record.get("splits")
    if not isinstance(splits, Mapping) or not splits:
        return "no image has a split"
    if len(splits) == 1:
        return f"there is one split alone, {next(iter(splits))}"
    if name == "leaked_patients" and not record["patients"]:
        return "no patient is known"
    return "no two splits have images of known patients"


RULES = CheckRules(
    command="audit",
    schema=AuditSummaryRecord,
    keys=(*_HOW, "no_images"),
    settings=(
        *("test", "where", "exclude_same", "split", "neighbors", "probability", "fence"),
        "no_images",
    ),
    goodness=_goodness,
    advice="Make the baseline with `summary`.",
    counted=("images",),
    what="runs",
    doubt=_doubt,
    why_null=_why_null,
)
