"""Images that lie apart from all others, and images that are in very many answers or in none.

Sources: the outer fence, three interquartile ranges above the third quartile, of Tukey,
Exploratory Data Analysis, 1977; k-occurrence and its skewness as of Radovanovic et al., JMLR 2010;
a hub has more than five times the mean occurrence as of Flexer et al., ISMIR 2012.
"""

from dataclasses import dataclass

import numpy as np

from xmir_cli.arrays import Floats, Integers
from xmir_cli.atlas.duplicates import ROUNDING
from xmir_cli.atlas.outliers import unlikeness

_QUARTERED = 5  # distances, the largest of which three quartiles know nothing of


@dataclass(frozen=True, eq=False)
class Outliers:
    """Images whose mean distance to their nearest of other patients is beyond the fence."""

    distances: Floats  # of each image [N], 1 - similarity; NaN without a neighbour
    percentiles: Floats  # of these among the archive's own [N]
    fence: float | None  # None: too few images have a neighbour of another patient
    rows: Integers  # those beyond it, the furthest first


def find_outliers(to_others: Floats, ranges: float) -> Outliers:
    """What lies apart, by the mean similarity of each image [N] to its nearest of other patients.

    The fence lies `ranges` interquartile ranges above the third quartile of the distances. Fewer
    than five have no fence: at three ranges none would be beyond it, for it moves the quartile.
    What is beyond it by rounding alone, as where most images have many copies, does not lie apart.
    """
    distances = 1 - to_others
    known = distances[np.isfinite(distances)]
    percentiles = unlikeness(to_others)
    if len(known) < _QUARTERED:
        return Outliers(distances, percentiles, None, np.empty(0, dtype=np.int64))
    low, high = np.percentile(known, [25, 75])
    fence = float(high + ranges * (high - low))
    beyond = np.flatnonzero(np.nan_to_num(distances, nan=-1.0) > fence + ROUNDING)
    order = np.argsort(-distances[beyond], kind="stable")
    return Outliers(distances, percentiles, fence, beyond[order])


@dataclass(frozen=True, eq=False)
class Hubs:
    """How often each image is among the nearest of others; None: it could not be otherwise."""

    counts: Integers  # [N]
    skewness: float | None  # 0 where all are in equally many answers
    rows: Integers | None  # hubs, the most frequent first
    unreached: Integers | None  # images in no answer


def find_hubs(nearest: Integers, times: float, patients: Integers) -> Hubs:
    """Images in more than `times` as many answers as the mean, and those in none.

    No image is in more answers than there are images of other patients, which bounds what can be a
    hub: of 51 images that have ten neighbours each, none is in more than five times the mean. An
    image is no news where all of other patients are its answer; two such leave none unreached.

    Args:
        nearest: The images of other patients nearest to each [N, k], -1 where there are fewer.
        times: The mean, above which an image is a hub.
        patients: The patient of each [N]; -1: nobody knows.
    """
    counts = np.bincount(nearest[nearest >= 0], minlength=len(nearest))
    whose = np.where(patients >= 0, patients, -1 - np.arange(len(patients)))
    _, patient, sizes = np.unique(whose, return_inverse=True, return_counts=True)
    others = len(nearest) - sizes[patient]
    has_all = others <= nearest.shape[1]
    mean, spread = float(counts.mean()), float(counts.std())
    if not mean or has_all.all():
        return Hubs(counts, None, None, None)
    skewness = float(((counts - mean) ** 3).mean() / spread**3) if spread > 0 else 0.0
    hubs = np.flatnonzero(counts > times * mean)
    hubs = hubs[np.argsort(-counts[hubs], kind="stable")]
    can_be_hub = others.max() > times * mean
    can_be_unreached = len(np.unique(patient[has_all])) < 2  # all of one patient
    return Hubs(
        counts,
        skewness,
        hubs if can_be_hub else None,
        np.flatnonzero(counts == 0) if can_be_unreached else None,
    )
