"""What the numbers of an array or a picture are."""

import numpy as np
import numpy.typing as npt

from xmir_cli.wire.records import Record

_BINS = 10  # of a histogram
_LARGEST = 1 << 24  # numbers that are sorted to count ties


def describe_numbers(array: npt.NDArray[np.generic]) -> Record:
    """Range, mean, histogram and ties of finite real numbers of any shape; nothing of none."""
    if not array.size:
        return {}
    return {
        "minimum": float(array.min()),
        "maximum": float(array.max()),
        "mean": float(array.mean()),
        **(_spread(array) if array.size <= _LARGEST else {}),
    }


def _spread(array: npt.NDArray[np.generic]) -> Record:
    """How the numbers of an array lie between the smallest and the largest, and how many tie."""
    counts = np.unique(array, return_counts=True)[1]
    numbers = array.astype(np.float64).ravel()
    unit = np.abs(numbers).max() or 1.0
    numbers /= unit  # no difference of two is too large for a number
    low, high = numbers.min(), numbers.max()
    places = (numbers - low) / ((high - low) or 1.0) * _BINS
    bins = np.minimum(places.astype(np.int64), _BINS - 1)  # the last one has the maximum
    edges = np.linspace(low, high, _BINS + 1) * unit
    edges[0], edges[-1] = array.min(), array.max()  # not rounded
    return {
        "histogram": np.bincount(bins, minlength=_BINS).tolist(),
        "histogram_edges": edges.tolist(),
        "distinct": len(counts),
        "tied": float(counts[counts > 1].sum() / array.size),
    }
