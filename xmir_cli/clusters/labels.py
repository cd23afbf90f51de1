"""Which labels are more or less frequent in a group than in the rest."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from xmir_cli.arrays import Integers
from xmir_cli.labels import parse_labels
from xmir_cli.wire.records import Record


@dataclass(frozen=True)
class LabelCount:
    """How often a label is in a group and in the rest, among those of which a label is known."""

    label: str
    inside: int
    known: int  # members with a label
    outside: int
    known_outside: int
    p: float | None = None  # two-sided, Fisher's exact test; None where there is no rest
    p_holm: float | None = None

    def to_json(self) -> Record:
        """As a summary tells it."""
        return {
            "n": self.inside,
            "share": self.inside / self.known if self.known else None,
            "rest": self.outside,
            "rest_share": self.outside / self.known_outside if self.known_outside else None,
            "p": self.p,
            "p_holm": self.p_holm,
        }


def compare_labels(texts: Sequence[str | None], groups: Integers) -> list[list[LabelCount]]:
    """For each group all labels, the least likely first; `A|B` counts for A and for B.

    Two-sided Fisher's exact test of a group against the rest, for every group and label; Holm's
    correction is over all of these tests. Items count as independent.

    Source: Fisher 1922; Holm, Scandinavian Journal of Statistics 1979.
    """
    sets = [parse_labels(text) for text in texts]
    names = sorted({label for each in sets for label in each})
    number = int(groups.max(initial=-1)) + 1
    known = Counter(int(group) for group, each in zip(groups, sets, strict=True) if each)
    counts = Counter(
        (int(group), label) for group, each in zip(groups, sets, strict=True) for label in each
    )
    totals = Counter(label for each in sets for label in each)
    found = [
        _test(
            LabelCount(
                label,
                counts[group, label],
                known[group],
                totals[label] - counts[group, label],
                known.total() - known[group],
            )
        )
        for group in range(number)
        for label in names
    ]
    found = _correct(found)
    per_group = [found[group * len(names) : (group + 1) * len(names)] for group in range(number)]
    return [sorted(each, key=_likelihood) for each in per_group]


def _likelihood(count: LabelCount) -> tuple[float, int, str]:
    return 1.0 if count.p is None else count.p, -count.inside, count.label


def _test(count: LabelCount) -> LabelCount:
    if not count.known or not count.known_outside:
        return count
    from scipy.stats import fisher_exact  # noqa: PLC0415 # an extra

    table = [
        [count.inside, count.known - count.inside],
        [count.outside, count.known_outside - count.outside],
    ]
    return replace(count, p=min(1.0, float(fisher_exact(table).pvalue)))


def _correct(counts: Sequence[LabelCount]) -> list[LabelCount]:
    """The same with Holm's p: the i-th smallest of m times m - i + 1, never below one before it."""
    tested = [place for place, each in enumerate(counts) if each.p is not None]
    ordered = sorted(tested, key=lambda place: counts[place].p or 0.0)
    raw = [(len(ordered) - rank) * (counts[place].p or 0.0) for rank, place in enumerate(ordered)]
    corrected = np.minimum(1.0, np.maximum.accumulate(raw)) if raw else raw
    found = list(counts)
    for place, p in zip(ordered, corrected, strict=True):
        found[place] = replace(found[place], p_holm=float(p))
    return found
