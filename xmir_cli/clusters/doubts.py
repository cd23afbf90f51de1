"""What is to be told of groups that say less than they seem to."""

from collections.abc import Sequence

import numpy as np

from xmir_cli.arrays import Floats
from xmir_cli.clusters.grouping import GroupingRules
from xmir_cli.clusters.items import ClusterItem, ClusterKind
from xmir_cli.clusters.spectral import FEWEST
from xmir_cli.labels import parse_labels


def count_different(vectors: Floats) -> int:
    """How many vectors [N, D] are not the same as another before them."""
    return len(np.unique(vectors, axis=0))


def doubt_number(kind: ClusterKind, vectors: Floats, rules: GroupingRules) -> str | None:
    """Why there is one group where nothing could have told of more; None where it could."""
    if rules.groups is not None:
        return None
    count, name = len(vectors), _name(kind)
    if count > 1 and bool((vectors == vectors[0]).all()):
        return f"{name}all {count} are the same: one group"
    if count < FEWEST:
        return f"{name}{count} of {FEWEST} that it takes to tell groups apart: one group"
    return None


def doubt_labels(kind: ClusterKind, items: Sequence[ClusterItem]) -> str | None:
    """Why labels tell no group from another; None where they may."""
    known = {labels for item in items if (labels := parse_labels(item.label))}
    if len(known) > 1:
        return None
    told = f"all have one label, {'|'.join(sorted(*known))}" if known else "no label is known"
    return f"{_name(kind)}{told}: none tells a group from the rest"


def _name(kind: ClusterKind) -> str:
    name = ", ".join(filter(None, [kind.method, kind.variant]))
    return f"{name}: " if name else ""
