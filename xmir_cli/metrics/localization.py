"""Where a map lies against what an expert marked, on the pixels that both show.

With S the map, S+ its positive part, M the mask, G the mask grown by a tolerance, each over the
same P pixels, and a = |M| / P:

    hit            the share in G of the pixels that hold the largest S        chance |G| / P
    energy         sum of S+ in M / sum of S+                                  chance a
    rank_accuracy  the share in M of the |M| highest pixels                    chance a
    auroc          P(S in M > S outside), half of it where they are equal      chance 1/2
    auprc          sum_n (R_n - R_n-1) P_n over the different values of S      chance a
    iou            |M and {S >= t max S}| / |M or {S >= t max S}|

Equal pixels count by their expected share. Sources: Zhang et al., Top-down neural attention by
excitation backprop, IJCV 2018 (pointing game); Wang et al., Score-CAM, CVPR workshops 2020; Arras
et al., CLEVR-XAI, Information Fusion 2022; Arun et al., Radiology: AI 2021; Saporta et al., Nature
Machine Intelligence 2022.
"""

from dataclasses import dataclass

import numpy as np

from xmir_cli.arrays import Booleans, Floats

STEPS = 50  # of a curve


@dataclass(frozen=True)
class Located:
    """The numbers of one map, and two curves [STEPS + 1] over 0 to 1."""

    numbers: dict[str, float]
    found: Floats  # the share of the mask in that share of the pixels, the highest first
    iou: Floats  # of the pixels from that share of the largest value on


def locate(saliency: Floats, mask: Booleans, grown: Booleans, threshold: float) -> Located:
    """The numbers of a map with a positive value against a mask of some pixels, not of all.

    Args:
        saliency: The map [P], of the pixels that lie on the picture.
        mask: What is marked of them [P].
        grown: The same with what is around it [P].
        threshold: t of `iou`.
    """
    values, numbers = np.unique(saliency, return_inverse=True)
    taken = _from_top(np.bincount(numbers))  # [V + 1] pixels of the highest 0, 1 .. values
    right = _from_top(np.bincount(numbers, weights=mask))  # [V + 1] those of them in the mask
    area, pixels, largest = right[-1], taken[-1], values[-1]
    wrong = taken - right
    positive = np.clip(saliency, 0, None) / largest  # sums of it cannot overflow
    curve = np.linspace(0, 1, STEPS + 1)

    def iou(shares: Floats) -> Floats:
        first = len(values) - np.searchsorted(values, shares * largest)
        return np.asarray(right[first] / (area + wrong[first]))

    return Located(
        {
            "hit": float(grown[saliency == largest].mean()),
            "energy": float(positive[mask].sum() / positive.sum()),
            "rank_accuracy": float(np.interp(area, taken, right) / area),
            "auroc": float(
                (np.diff(wrong) * (right[1:] + right[:-1])).sum() / 2 / area / wrong[-1]
            ),
            "auprc": float((np.diff(right) * right[1:] / taken[1:]).sum() / area),
            "iou": float(iou(np.array([threshold]))[0]),
        },
        np.asarray(np.interp(curve * pixels, taken, right) / area),
        iou(curve),
    )


def chance(mask: Booleans, grown: Booleans) -> dict[str, float]:
    """The number of a map that knows nothing, for those that have one."""
    area = float(mask.mean())
    return {
        "hit": float(grown.mean()),
        "energy": area,
        "rank_accuracy": area,
        "auroc": 0.5,
        "auprc": area,
    }


def _from_top(counts: np.ndarray) -> Floats:
    """The sums of counts [V], by rising value, over the highest 0, 1 .. V values [V + 1]."""
    return np.concatenate([[0.0], np.cumsum(counts[::-1], dtype=np.float64)])
