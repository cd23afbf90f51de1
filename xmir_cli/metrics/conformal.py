"""Sets of labels that hold the right one as often as is asked, whatever the probabilities are.

With scores 1 - p of the own labels of n images that no rule was fitted to, one of each patient, the
set of a new patient's image is {label: 1 - p(label) <= q}, q the ceil((n + 1) coverage)-th smallest
score. It holds the label with at least that probability, for the new score is as likely in any
place among the others.

Source: Vovk, Gammerman and Shafer, Algorithmic learning in a random world, 2005; Angelopoulos and
Bates, A gentle introduction to conformal prediction, 2021.
"""

import math

import numpy as np

from xmir_cli.arrays import Booleans, Floats

_ROUNDING = 1e-9


def own_scores(probabilities: Floats, own: Booleans) -> Floats:
    """1 - p [n] of the own label of each image; of several, of the least probable one.

    Args:
        probabilities: Of each label [n, L].
        own: Which labels each image has [n, L], at least one.
    """
    return np.asarray(1 - np.where(own, probabilities, np.inf).min(axis=1))


def conformal_bound(scores: Floats, coverage: float) -> float:
    """q, see above; infinite, so that sets hold all labels, where there are too few scores [n]."""
    place = math.ceil((len(scores) + 1) * coverage - _ROUNDING)
    return float(np.sort(scores)[place - 1]) if place <= len(scores) else math.inf


def label_sets(probabilities: Floats, bound: float) -> Booleans:
    """Which labels are in the set of each image [n, L]."""
    return np.asarray(1 - probabilities <= bound + _ROUNDING)


def novelty(distance: float, known: Floats) -> float:
    """The share of the known distances [n] that are smaller; of equal ones half."""
    return float(((known < distance).sum() + (known == distance).sum() / 2) / len(known))
