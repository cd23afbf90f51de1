"""Means over records, how sure they are, and what was gained over a control."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000
_BLOCK = 100  # resamples drawn at a time


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
    array = np.asarray(values, dtype=np.float64)
    sd = float(array.std(ddof=1)) if len(array) > 1 else None
    low, high = _interval(array, groups, seed)
    return Estimate(float(array.mean()), sd, len(array), low, high)


def _interval(
    values: np.ndarray, groups: Sequence[Hashable], seed: int
) -> tuple[float, float] | tuple[None, None]:
    numbers: dict[Hashable, int] = {}
    members = np.array([numbers.setdefault(group, len(numbers)) for group in groups])
    if len(numbers) < 2:
        return None, None
    sums = np.bincount(members, weights=values)
    counts = np.bincount(members)
    generator = np.random.default_rng(seed)
    means = []
    for _ in range(RESAMPLES // _BLOCK):
        drawn = generator.integers(len(sums), size=(_BLOCK, len(sums)))
        means.append(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1))
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return float(low), float(high)
