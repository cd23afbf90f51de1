"""Means over records, how sure they are, and what was gained over a control."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from xmir_cli.arrays import Floats, Integers

RESAMPLES = 2000
BOUNDS = (0.025, 0.975)  # of a 95 % interval
_BLOCK, _DRAWN = 100, 1 << 22  # resamples, and groups, that are drawn at a time


@dataclass(frozen=True)
class Estimate:
    """A mean of n values with their standard deviation and a 95 % interval of the mean."""

    mean: float
    sd: float | None  # of the sample, n - 1; None for a single value
    n: int
    low: float | None  # None when all values come from one group
    high: float | None


def estimate(values: Sequence[float], groups: Sequence[Hashable], seed: int = 0) -> Estimate:
    """The mean of the values and its percentile bootstrap interval.

    Groups (the queries) are drawn with replacement, not single values: the results of one query
    resemble each other, and an interval that takes them for independent is too narrow.
    """
    return estimate_all({"": values}, groups, seed)[""]


def estimate_all(
    columns: Mapping[str, Sequence[float]], groups: Sequence[Hashable], seed: int = 0
) -> dict[str, Estimate]:
    """The same of several numbers of the same records; all are of the same resamples."""
    arrays = {name: np.asarray(values, dtype=np.float64) for name, values in columns.items()}
    bounds = _intervals(arrays, groups, seed)
    return {
        name: Estimate(
            float(array.mean()),
            float(array.std(ddof=1)) if len(array) > 1 else None,
            len(array),
            *bounds[name],
        )
        for name, array in arrays.items()
    }


def _intervals(
    columns: Mapping[str, Floats], groups: Sequence[Hashable], seed: int
) -> dict[str, tuple[float, float] | tuple[None, None]]:
    members = number_groups(groups)
    count = int(members.max(initial=-1)) + 1
    if count < 2:
        return dict.fromkeys(columns, (None, None))
    sums = {name: np.bincount(members, weights=values) for name, values in columns.items()}
    counts = np.bincount(members)
    means: dict[str, list[Floats]] = {name: [] for name in columns}
    for drawn in resample(count, seed):
        sizes = drawn @ counts
        for name, each in sums.items():
            means[name].append((drawn @ each) / sizes)
    found = {name: np.quantile(np.concatenate(each), BOUNDS) for name, each in means.items()}
    return {name: (float(low), float(high)) for name, (low, high) in found.items()}


def number_groups(groups: Sequence[Hashable]) -> Integers:
    """The number of each value's group [N], in the order in which they appear."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(group, len(numbers)) for group in groups], dtype=np.int64)


def resample(count: int, seed: int) -> Iterator[Floats]:
    """How often each of `count` groups is drawn, with replacement, in the resamples [b, count]."""
    generator = np.random.default_rng(seed)
    block = max(1, min(_BLOCK, _DRAWN // count))
    for start in range(0, RESAMPLES, block):
        rows = min(block, RESAMPLES - start)
        drawn = generator.integers(count, size=(rows, count)) + np.arange(rows)[:, None] * count
        found = np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count)
        yield found.astype(np.float64)
