"""Average self-similarity maps of classes and their signed differences, streaming.

Source: Hu et al., X-MIR, WACV 2022, section 4.4; running moments after Welford 1962.
"""

from dataclasses import dataclass

import numpy as np

NORMALIZATIONS = ("l1", "none", "max")


def normalize(saliency: np.ndarray, how: str) -> np.ndarray:
    """The map [H, W] in float64, made comparable between images; a map of zeros stays.

    l1: mean |S| becomes 1, so only where matters, not how strongly; max: the largest |S| becomes 1.
    """
    values = saliency.astype(np.float64)
    if how == "none":
        return values
    size = float(np.abs(values).mean() if how == "l1" else np.abs(values).max())
    return values / size if size > 0 else values


class Moments:
    """The running mean and variance of arrays [H, W]; keeps two of them however many come."""

    def __init__(self) -> None:
        self.count = 0
        self.mean: np.ndarray = np.zeros(())
        self.squares: np.ndarray = np.zeros(())  # sum of squared deviations from the mean

    def add(self, values: np.ndarray) -> None:
        """Take one array into account."""
        self.count += 1
        before = values - self.mean
        self.mean = self.mean + before / self.count
        self.squares = self.squares + before * (values - self.mean)

    def standard_error(self) -> np.ndarray:
        """The standard error of the mean at each pixel; zeros for a single array."""
        if self.count < 2:
            return np.zeros_like(self.mean)
        error: np.ndarray = np.sqrt(self.squares / (self.count - 1) / self.count)
        return error


@dataclass(frozen=True)
class MapDifference:
    """Class a minus class b: positive where a is more salient, and how sure that is."""

    mean: np.ndarray  # [H, W]
    standard_error: np.ndarray  # [H, W]


def subtract_means(first: Moments, second: Moments) -> MapDifference:
    """The mean map of the first class minus that of the second."""
    error: np.ndarray = np.hypot(first.standard_error(), second.standard_error())
    return MapDifference(first.mean - second.mean, error)
