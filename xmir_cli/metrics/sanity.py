"""How much two saliency maps of the same image agree, for the sanity checks.

Source: Adebayo et al., Sanity checks for saliency maps, NeurIPS 2018; Wang et al., Image quality
assessment: from error visibility to structural similarity, IEEE TIP 2004; Yeh et al., On the
(in)fidelity and sensitivity of explanations, NeurIPS 2019.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from xmir_cli.arrays import Floats

_WINDOW = 7  # pixels
_C1, _C2 = 0.01**2, 0.03**2  # for values in [0, 1]


@dataclass(frozen=True)
class Agreement:
    """1 for equal maps; near 0 for unrelated ones.

    The first two are NaN for a constant map, the last for one with a side below 7 pixels.
    """

    spearman: float  # of the signed values
    spearman_abs: float  # of their sizes
    ssim: float  # of the maps scaled to [0, 1]


def agreement(first: Floats, second: Floats) -> Agreement:
    """The agreement of two maps [H, W]."""
    return Agreement(
        spearman(first, second),
        spearman(np.abs(first), np.abs(second)),
        ssim(scale_to_one(first), scale_to_one(second)),
    )


def change(before: Floats, after: Floats) -> float:
    """How far a map [H, W] moved, in its own lengths: |after - before| / |before|, over all pixels.

    NaN for a map of zeros.
    """
    size = float(np.linalg.norm(before))
    return float(np.linalg.norm(after - before)) / size if size > 0 else float("nan")


def spearman(first: Floats, second: Floats) -> float:
    """The rank correlation, tied values given the mean of their ranks; NaN when one is constant."""
    ranks = _average_ranks(first.ravel()), _average_ranks(second.ravel())
    centred = [rank - rank.mean() for rank in ranks]
    size = np.sqrt((centred[0] @ centred[0]) * (centred[1] @ centred[1]))
    return float(centred[0] @ centred[1] / size) if size > 0 else float("nan")


def _average_ranks(values: Floats) -> Floats:
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[places], dtype=np.float64)


def scale_to_one(values: Floats) -> Floats:
    """Values moved and scaled to [0, 1]; constant ones become 0."""
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else np.zeros_like(values)


def ssim(first: Floats, second: Floats) -> float:
    """The mean structural similarity of two arrays [H, W] of values in [0, 1], 7 x 7 windows.

    Windows lie wholly inside, their (co)variances are those of a sample, as in scikit-image. NaN
    where no window fits.
    """
    if min(first.shape) < _WINDOW:
        return float("nan")
    x, y = torch.from_numpy(first).double(), torch.from_numpy(second).double()
    stack = torch.stack([x, y, x * x, y * y, x * y])[:, None]
    mean_x, mean_y, xx, yy, xy = functional.avg_pool2d(stack, _WINDOW, stride=1)[:, 0]
    sample = _WINDOW**2 / (_WINDOW**2 - 1)
    variance_x = sample * (xx - mean_x**2)
    variance_y = sample * (yy - mean_y**2)
    covariance = sample * (xy - mean_x * mean_y)
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
    structure = (2 * covariance + _C2) / (variance_x + variance_y + _C2)
    return float((luminance * structure).mean())
