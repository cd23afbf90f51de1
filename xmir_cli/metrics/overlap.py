"""How far two rankings of the same query agree.

    overlap at k   |S_1..k and T_1..k| / k
    RBO            (1 - p) sum_d p^(d-1) A_d,  A_d = |S_1..d and T_1..d| / d

A ranking is known to some depth only, so RBO is extrapolated (RBO_ext, equations 30 and 32): beyond
the longer list the agreement is taken to stay as it is at its end. Where one list ends before the
other, its missing places are taken to agree as often as its own did. Equal lists have 1, lists
without a common item 0, at any depth.

Source: Webber, Moffat and Zobel, A similarity measure for indefinite rankings, ACM TOIS 2010.
"""

import math

import numpy as np

from xmir_cli.arrays import Floats, Integers

PERSISTENCE = 0.9  # p: the first ten places have 86 % of the weight


def overlap_at(first: Integers, second: Integers, cutoff: int) -> float:
    """The share of common items among the first `cutoff` of two lists of different items.

    Where both lists are shorter it is of the longer one; NaN where both are empty.
    """
    first, second = first[:cutoff], second[:cutoff]
    longest = max(len(first), len(second))
    return len(np.intersect1d(first, second)) / longest if longest else math.nan


def rank_biased_overlap(first: Integers, second: Integers, p: float = PERSISTENCE) -> float:
    """RBO_ext of two lists of different items, the best first; NaN where both are empty."""
    agreements = agreements_of(first, second)
    if not len(agreements):
        return math.nan
    missing = 1 - agreements
    weights = (1 - p) * p ** np.arange(len(missing))
    # the weights and the rest after them, p^l, are 1 together
    return float(1 - (weights @ missing + p ** len(missing) * missing[-1]))


def agreements_of(first: Integers, second: Integers) -> Floats:
    """A_d of the depths from 1 to the length of the longer list."""
    length, short = max(len(first), len(second)), min(len(first), len(second))
    _, one, other = np.intersect1d(first, second, return_indices=True)
    common = np.cumsum(np.bincount(np.maximum(one, other), minlength=length))[:length]
    depths = np.arange(1, length + 1)
    if not short:
        return np.zeros(length)
    beyond = common[short - 1] * np.maximum(depths - short, 0) / short  # of the list that ended
    return np.asarray((common + beyond) / depths)
