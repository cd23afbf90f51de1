"""How sure the means of an evaluation are of whose queries a sample was asked."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from xmir_cli.arrays import Floats
from xmir_cli.metrics.scores import Scores
from xmir_cli.metrics.summary import BOUNDS, number_groups, resample

_LEAST = 100  # resamples that an interval is made of
Interval = tuple[float, float] | tuple[None, None]


@dataclass(frozen=True)
class Intervals:
    """The 95 % intervals of means, as `Scores` makes them.

    None where one group is all there is, or where few resamples have all that a mean is of.
    """

    micro: Mapping[str, Interval]
    macro: Mapping[str, Interval]
    by_label: Mapping[str, Mapping[str, Interval]]


def intervals(scores: Scores, groups: Sequence[Hashable], seed: int) -> Intervals:
    """Percentile bootstrap intervals of the means over the scored queries.

    Groups (patients) are drawn with replacement, not single queries, for those of one patient
    resemble each other. All means are of the same resamples; one without any query of a label says
    nothing of it, nor of the macro means, which are over all labels.
    """
    scored = np.flatnonzero(scores.scored)
    values, members = scores.values[scored], number_groups([groups[row] for row in scored.tolist()])
    labels = {label: found for label, found in scores.labelled.items() if len(found[0])}
    count = int(members.max(initial=-1)) + 1
    parts = [(values, members)]
    for rows, each_values in labels.values():
        parts.append((each_values, members[np.searchsorted(scored, rows)]))
    tables = np.stack([_tally(*part, count) for part in parts])
    drawn = resample(count, seed) if count > 1 else ()
    means = [_means(weights, tables) for weights in drawn]  # [1 + L, b, M]
    found = np.concatenate(means, axis=1) if means else None
    whole, *each = (
        _bounds(scores.names, None if found is None else found[part]) for part in range(len(parts))
    )
    over = found[1:].mean(axis=0) if found is not None and labels else None
    return Intervals(whole, _bounds(scores.names, over), dict(zip(labels, each, strict=True)))


def _tally(values: Floats, members: np.ndarray, count: int) -> Floats:
    """The sums of the values [Q, M] of each group, and how many those are [count, M + 1]."""
    columns = [*values.T, np.ones(len(values))]
    sums = [np.bincount(members, weights=column, minlength=count) for column in columns]
    return np.stack(sums, axis=1)


def _means(weights: Floats, tables: Floats) -> Floats:
    """The means [P, b, M] of each part in each resample [b, G]; NaN of none."""
    totals = weights @ tables
    with np.errstate(invalid="ignore"):
        return np.asarray(totals[:, :, :-1] / totals[:, :, -1:])


def _bounds(names: Sequence[str], means: Floats | None) -> dict[str, Interval]:
    """The interval of each number by its resampled means [R, M]; None by too few."""
    if means is None or np.isfinite(means[:, 0]).sum() < _LEAST:
        return dict.fromkeys(names, (None, None))
    low, high = np.nanquantile(means, BOUNDS, axis=0).tolist()
    return dict(zip(names, zip(low, high, strict=True), strict=True))
