"""The direction of a concept, from examples that show it and others, and directions by chance.

    v = (mean of the positive - mean of the negative) / its length

or the unit weights of a logistic regression. Chance are the directions of the same examples whose
kinds are shuffled. Whole patients are shuffled, each with all of its images; the images of one that
has both kinds among themselves.

Source: Kim et al., Interpretability beyond feature attribution (TCAV), ICML 2018, for directions of
concepts and the test against random ones; Winkler et al., Multi-level block permutation, NeuroImage
2015, for patients.
"""

import warnings
from collections.abc import Callable, Hashable, Sequence

import numpy as np

from xmir_cli.arrays import Booleans, Floats, Integers

DirectionFit = Callable[
    [Floats, Booleans], Floats
]  # examples [n, D], kinds [K, n] -> differences [K, D]

_NOTHING = 1e-9  # a difference of unit vectors below it is rounding
_EQUAL = 1e-9  # a length or a share that differs by less is a tie
_LEVEL, _STEPS = 1e-9, 1000  # of a loss: slope, divided by n, where it ends; most steps to it
_FOLDS = 5
_BLOCK = 256  # shuffles at once


def difference_of_means(vectors: Floats, positive: Booleans) -> Floats:
    """The mean of the positive less that of the negative [K, D] of examples [n, D]; kinds [K, n].

    Both kinds are there.
    """
    ones = positive.astype(np.float64)
    others = 1 - ones
    weights = ones / ones.sum(1, keepdims=True) - others / others.sum(1, keepdims=True)
    return np.asarray(weights @ vectors)


def logistic_weights(vectors: Floats, positive: Booleans) -> Floats:
    """The weights [K, D] of logistic regressions; else as above.

    The least of |w|^2 / 2 + sum_i c_i log(1 + exp(-y_i (w . x_i + b))), y_i = 1 of the positive and
    -1 of the others, c_i = n / (2 n_kind), so that both kinds weigh the same: scikit-learn's L2
    penalty with C = 1, which has a least value where the kinds can be told apart, too. The weights
    lie where the examples do, so that they are looked for among n numbers, not D.
    """
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 # an extra

    turned, lengths, axes = np.linalg.svd(vectors - vectors.mean(0), full_matrices=False)
    inside = turned * lengths  # [n, r]
    found = []
    for kinds in positive:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # no better one is found in double precision
            model = LogisticRegression(class_weight="balanced", tol=_LEVEL, max_iter=_STEPS)
            model.fit(inside, kinds)
        found.append(model.coef_[0] @ axes)
    return np.asarray(found)


def unit_directions(differences: Floats) -> Floats:
    """The same at length 1 [K, D]; zero where there is no difference."""
    lengths = np.linalg.norm(differences, axis=1, keepdims=True)
    return np.where(lengths > _NOTHING, differences / np.maximum(lengths, _NOTHING), 0)


def shuffle_kinds(positive: Booleans, units: Sequence[Hashable], count: int, seed: int) -> Booleans:
    """The kinds of examples [n] shuffled `count` times [K, n]; see above. `units` are patients."""
    random = np.random.default_rng(seed)
    numbers = _number(units)
    sizes = np.bincount(numbers)
    shown = np.bincount(numbers, weights=positive)
    mixed = (shown > 0) & (shown < sizes)
    pure, kinds = np.flatnonzero(~mixed), shown > 0
    shuffled = np.repeat(positive[None], count, axis=0)
    for row in shuffled:
        moved = kinds.copy()
        moved[pure] = random.permutation(kinds[pure])
        row[:] = np.where(mixed[numbers], row, moved[numbers])
        for unit in np.flatnonzero(mixed):
            own = np.flatnonzero(numbers == unit)
            row[own] = random.permutation(row[own])
    return shuffled


def shuffled_differences(vectors: Floats, shuffled: Booleans, fit: DirectionFit) -> Floats:
    """What `fit` gives for each row of shuffled kinds [K, D]."""
    starts = range(0, len(shuffled), _BLOCK)
    blocks = [fit(vectors, shuffled[start : start + _BLOCK]) for start in starts]
    return np.concatenate([np.empty((0, vectors.shape[1])), *blocks])


def count_chance(values: Floats, by_chance: Floats) -> Floats:
    """(1 + how many by chance [K, n] are as large as each of `values` [n], in size) / (K + 1)."""
    least = np.abs(values) * (1 - _EQUAL) - _EQUAL**2
    reached = np.count_nonzero(np.abs(by_chance) >= least, axis=0)
    return np.asarray((1 + reached) / (len(by_chance) + 1))


def held_out_auroc(
    vectors: Floats, positive: Booleans, units: Sequence[Hashable], fit: DirectionFit, seed: int
) -> float | None:
    """How often a positive example lies further along than a negative one, in folds held out.

    The direction of each of five folds is fitted to the others, a patient's images are in one fold
    together, and the mean over the folds is taken. None where no fold has both kinds.
    """
    numbers = _number(units)
    shown = np.bincount(numbers, weights=positive) > 0
    order = np.random.default_rng(seed).permutation(len(shown))
    order = order[np.argsort(shown[order], kind="stable")]  # both kinds in every fold
    folds = np.empty(len(shown), np.int64)
    folds[order] = np.arange(len(shown)) % _FOLDS
    found = []
    for fold in range(_FOLDS):
        held = folds[numbers] == fold
        kinds = positive[held], positive[~held]
        if all(each.any() and not each.all() for each in kinds):
            direction = fit(vectors[~held], kinds[1][None])[0]
            along = vectors[held] @ direction
            over = along[kinds[0]][:, None] - along[~kinds[0]][None]
            found.append(float((over > 0).mean() + (over == 0).mean() / 2))
    return float(np.mean(found)) if found else None


def _number(units: Sequence[Hashable]) -> Integers:
    """Which unit each example is of, from 0 in order of appearance."""
    known: dict[Hashable, int] = {}
    return np.array([known.setdefault(unit, len(known)) for unit in units], dtype=np.int64)
