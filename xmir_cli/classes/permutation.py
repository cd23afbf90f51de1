"""Is a difference of two classes' maps more than chance? Labels permuted, corrected over the map.

Source: Nichols and Holmes, Nonparametric permutation tests for functional neuroimaging, Human Brain
Mapping 2002: the largest statistic of each permutation controls the chance of any false pixel.
Units in both classes only swap: Winkler et al., Multi-level block permutation, NeuroImage 2015.
"""

from collections.abc import Sequence

import numpy as np

_BLOCK = 64  # permutations at once
_NO_SPREAD = 1e-12  # a squared error below this part of a pixel's range^2 is rounding
_EQUAL = 1e-9  # statistics that differ by less are the same partition's, summed in another order


def corrected_p(
    first: np.ndarray,
    second: np.ndarray,
    permutations: int,
    pairs: Sequence[tuple[int, int]] = (),
) -> np.ndarray:
    """For each pixel the chance that any pixel differs this much when labels mean nothing.

    Args:
        first: The maps of one class [N, P], a row an independent unit: an image or a patient.
        second: Those of the other [M, P].
        permutations: How many; the smallest possible value is 1 / (permutations + 1).
        pairs: Rows of `first` and of `second` that are one unit: a patient with both labels.

    Returns:
        Values in (0, 1], [P]: (1 + permutations whose largest |t| reaches the pixel's |t|) /
        (permutations + 1), Welch's t. Always the same for the same maps, in whatever unit.
    """
    maps = _to_unit_range(np.concatenate([first, second]).astype(np.float64))
    own = np.zeros((1, len(maps)))
    own[0, : len(first)] = 1
    observed = _statistics(maps, own)[0]
    random, reached = np.random.default_rng(0), np.zeros(maps.shape[1])
    for start in range(0, permutations, _BLOCK):
        count = min(_BLOCK, permutations - start)
        groups = _permute(np.repeat(own, count, axis=0), len(first), pairs, random)
        largest = _statistics(maps, groups).max(axis=1)  # [count]
        reached += (largest[:, None] >= observed[None] * (1 - _EQUAL)).sum(axis=0)
    corrected: np.ndarray = (1 + reached) / (permutations + 1)
    return corrected


def _to_unit_range(maps: np.ndarray) -> np.ndarray:
    """Each pixel's values [N, P] moved and scaled to [-1, 1] about their mean: t stays."""
    lowest, reach = maps.min(axis=0), np.ptp(maps, axis=0)
    scaled: np.ndarray = (maps - lowest) / np.where(reach > 0, reach, 1)
    scaled -= scaled.mean(axis=0)
    scaled[:, reach == 0] = 0
    return scaled


def _permute(
    groups: np.ndarray, first: int, pairs: Sequence[tuple[int, int]], random: np.random.Generator
) -> np.ndarray:
    """Each row of `groups` [B, N] permuted; the two of a pair swap or stay, apart from all else."""
    here, there = [row for row, _ in pairs], [first + row for _, row in pairs]
    taken = {*here, *there}
    free = [row for row in range(groups.shape[1]) if row not in taken]
    groups[:, free] = random.permuted(groups[:, free], axis=1)
    swapped = random.random((len(groups), len(here))) < 0.5
    groups[:, here], groups[:, there] = ~swapped, swapped
    return groups


def _statistics(maps: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """|Welch's t| [B, P] of each row of `groups` [B, N], 1: first class.

    Infinite where the classes differ and have no spread, 0 where all is equal.
    """
    parts = []
    for members in (groups, 1 - groups):
        count = members.sum(axis=1, keepdims=True)
        mean = members @ maps / count
        spread = (members @ maps**2 / count - mean**2).clip(min=0) / (count - 1)
        parts.append((mean, spread))
    (mean_a, spread_a), (mean_b, spread_b) = parts
    squared = spread_a + spread_b
    difference = np.abs(mean_a - mean_b)
    known = squared > _NO_SPREAD
    statistics: np.ndarray = np.divide(
        difference,
        np.sqrt(squared),
        out=np.where(difference > _NO_SPREAD, np.inf, 0.0),
        where=known,
    )
    return statistics
