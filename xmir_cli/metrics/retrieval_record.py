"""The numbers of an evaluation as a record."""

from xmir_cli.arrays import Integers
from xmir_cli.errors import DataError
from xmir_cli.metrics.retrieval import NEAR_DUPLICATE, Evaluation, Scores
from xmir_cli.wire.records import Record


def list_numbers(found: Evaluation, group: str, excluded: bool) -> Record:
    """The chosen numbers at the top; those without (and with) the group's own items below.

    Raises DataError when no query has a relevant image.
    """
    chosen = found.chosen(excluded)
    if chosen.dropped == len(chosen.values):
        raise DataError(f"none of {len(chosen.values)} queries has a relevant image to find")
    record = summary(chosen)
    if found.other_groups is not None:
        record[f"excluding_same_{group}"] = summary(found.other_groups)
        if excluded:
            record[f"including_same_{group}"] = summary(found.scores)
    return record


def summary(scores: Scores) -> Record:
    """Means over queries, over labels and by label; `queries` says how many the means are over."""
    counts = scores.count_by_label()
    return {
        "queries": len(scores.values) - scores.dropped,
        "dropped": scores.dropped,
        "tied_pairs": scores.tied,
        **scores.micro(),
        "macro": scores.macro(),
        "labels": {
            label: {"queries": counts[label], **means} for label, means in scores.by_label().items()
        },
    }


def near_duplicates(found: Evaluation, copies: Integers) -> Record:
    """How many queries have an item that is nearly the same, or the same file under another id."""
    return {
        "similarity_above": NEAR_DUPLICATE,
        "queries": int((found.near_duplicates > 0).sum()),
        "pairs": int(found.near_duplicates.sum()),
        "queries_same_file": int((copies > 0).sum()),
    }
