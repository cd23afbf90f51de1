"""Images that lie apart: how unlike their nearest of other patients they are, among all images."""

import numpy as np

from xmir_cli.arrays import Booleans, Floats


def unlikeness(to_others: Floats) -> Floats:
    """The share of the images [N], in percent, that lie nearer to their neighbours than each does.

    Half of those that lie equally near count, itself among them. Images without a similarity (NaN)
    neither count nor have one.
    """
    known = np.isfinite(to_others)
    values = to_others[known]
    ordered = np.sort(values)
    more = len(values) - np.searchsorted(ordered, values, side="right")
    equal = np.searchsorted(ordered, values, side="right") - np.searchsorted(ordered, values)
    percents = np.full(len(to_others), np.nan)
    percents[known] = 100 * (more + equal / 2) / max(1, len(values))
    return percents


def are_outliers(percents: Floats, most: float) -> Booleans:
    """The images [N] that are among the `most` percent which lie furthest from others."""
    return np.nan_to_num(percents, nan=0.0) > 100 - most
