"""How well a map finds a region that is known: peak, energy and AUROC.

Chance is the region's share of the picture for the first two, and one half for the third.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Truth:
    """A map [H, W] against a mask [H, W] of the same picture, each number 0 to 1."""

    peak: float  # the share of the map's highest pixels, often one, that lie in the mask
    energy: float  # the share of the map's positive part that lies in the mask; 0 without any
    auroc: float  # a pixel in the mask is higher than one outside, with this probability


def score(saliency: NDArray[np.float32], mask: NDArray[np.bool_]) -> Truth:
    """The numbers of a map; tied pixels count half each way.

    Sources: Zhang et al. 2016 (pointing game), Arras et al. 2022 (relevance mass accuracy).
    """
    values = saliency.astype(np.float64)
    positive = values.clip(min=0)
    total = positive.sum()
    return Truth(
        peak=float(mask[values == values.max()].mean()),
        energy=float(positive[mask].sum() / total) if total > 0 else 0.0,
        auroc=auroc(values[mask], values[~mask]),
    )


def auroc(inside: NDArray[np.float64], outside: NDArray[np.float64]) -> float:
    """The probability that a value of the first is larger than one of the second, ties half."""
    order = np.sort(outside)
    below = np.searchsorted(order, inside, side="left")
    not_above = np.searchsorted(order, inside, side="right")
    return float((below + not_above).mean() / 2 / len(outside))
