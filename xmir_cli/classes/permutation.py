"""Is a difference of two classes' maps more than chance? Labels permuted, corrected over the map.

Source: Nichols and Holmes, Nonparametric permutation tests for functional neuroimaging, Human Brain
Mapping 2002: the largest statistic of each permutation controls the chance of any false pixel.
"""

import numpy as np

_BLOCK = 64  # permutations at once


def corrected_p(first: np.ndarray, second: np.ndarray, permutations: int) -> np.ndarray:
    """For each pixel the chance that any pixel differs this much when labels mean nothing.

    Args:
        first: The maps of one class [N, P].
        second: Those of the other [M, P].
        permutations: How many; the smallest possible value is 1 / (permutations + 1).

    Returns:
        Values in (0, 1], [P]: (1 + permutations whose largest |t| reaches the pixel's |t|) /
        (permutations + 1), Welch's t. Always the same for the same maps.
    """
    maps = np.concatenate([first, second]).astype(np.float64)
    maps -= maps.mean(axis=0)  # keeps the squares small; differences stay
    own = np.zeros((1, len(maps)))
    own[0, : len(first)] = 1
    observed = _statistics(maps, own)[0]
    random, reached = np.random.default_rng(0), np.zeros(maps.shape[1])
    for start in range(0, permutations, _BLOCK):
        count = min(_BLOCK, permutations - start)
        groups = random.permuted(np.repeat(own, count, axis=0), axis=1)
        largest = _statistics(maps, groups).max(axis=1)  # [count]
        reached += (largest[:, None] >= observed[None] * (1 - 1e-9)).sum(axis=0)
    corrected: np.ndarray = (1 + reached) / (permutations + 1)
    return corrected


def _statistics(maps: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """|Welch's t| [B, P] of each row of `groups` [B, N], 1: first class; 0 without spread."""
    parts = []
    for members in (groups, 1 - groups):
        count = members.sum(axis=1, keepdims=True)
        mean = members @ maps / count
        spread = (members @ maps**2 / count - mean**2).clip(min=0) / (count - 1)
        parts.append((mean, spread))
    (mean_a, spread_a), (mean_b, spread_b) = parts
    error = np.sqrt(spread_a + spread_b)
    difference = np.abs(mean_a - mean_b)
    statistics: np.ndarray = np.divide(
        difference, error, out=np.zeros_like(difference), where=error > 1e-12
    )
    return statistics
