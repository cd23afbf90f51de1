"""How many rows have each value."""

from collections import Counter
from typing import cast

from xmir_cli.wire.records import Record

_SHOWN = 20


def show_counts(counts: Counter[str]) -> Record:
    """The commonest values with their counts, the others together as `...`."""
    shown: Record = dict(counts.most_common(_SHOWN))
    if len(counts) > len(shown):
        shown["..."] = counts.total() - sum(cast("int", count) for count in shown.values())
    return shown
