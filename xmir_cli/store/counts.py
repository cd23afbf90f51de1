"""How many rows have each value."""

from collections import Counter
from typing import cast

from xmir_cli.labels import parse_labels
from xmir_cli.wire.records import Record

_SHOWN = 20


def show_counts(counts: Counter[str]) -> Record:
    """The commonest values with their counts, the others together as `...`."""
    shown: Record = dict(counts.most_common(_SHOWN))
    if len(counts) > len(shown):
        shown["..."] = counts.total() - sum(cast("int", count) for count in shown.values())
    return shown


def split_labels(counts: Counter[str]) -> tuple[Counter[str], int]:
    """Rows by label of rows by text, and how many rows have several.

    A row of several labels counts for each of them, one without a label for `-`.
    """
    found: Counter[str] = Counter()
    several = 0
    for text, count in counts.items():
        labels = parse_labels(text)
        several += count if len(labels) > 1 else 0
        for label in sorted(labels) or ["-"]:
            found[label] += count
    return found, several
