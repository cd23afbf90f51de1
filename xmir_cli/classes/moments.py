"""Average self-similarity maps of classes and their signed differences, streaming.

Source: Hu et al., X-MIR, WACV 2022, section 4.4. The standard error is that of a mean whose values
come in clusters: Liang and Zeger, Biometrika 1986.
"""

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np


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
    """The running mean of arrays [H, W] and its error; keeps a few of them however many come.

    With s_u the sum of the n_u arrays of unit u, U units and N arrays in all:

        error^2 = U / (U - 1) sum_u (s_u - n_u mean)^2 / N^2

    which is that of independent arrays when each is a unit of its own.
    """

    def __init__(self) -> None:
        self.count = 0
        self.units = 0
        self._unit: Hashable = None
        self._first: np.ndarray = np.zeros(())  # taken off all, which keeps the squares small
        self._total: np.ndarray = np.zeros(())
        self._open: tuple[int, np.ndarray] = (0, np.zeros(()))  # of the unit that is not complete
        self._closed: list[np.ndarray] = [np.zeros(())] * 3  # sums of s^2, n s and n^2

    def add(self, values: np.ndarray, unit: Hashable = None) -> None:
        """Take one array into account.

        Those of one unit, such as a patient, come one after another; None is a unit of its own.
        """
        if not self.count:
            self._first = values
        if not self.count or unit is None or unit != self._unit:
            self._closed, self._open = self._sums(), (0, np.zeros(()))
            self.units, self._unit = self.units + 1, unit
        self.count += 1
        moved = values - self._first
        self._total = self._total + moved
        self._open = self._open[0] + 1, self._open[1] + moved

    @property
    def mean(self) -> np.ndarray:
        """The mean of all arrays so far."""
        mean: np.ndarray = self._first + self._total / max(self.count, 1)
        return mean

    def standard_error(self) -> np.ndarray:
        """The standard error of the mean at each pixel; zeros for a single unit."""
        if self.units < 2:
            return np.zeros_like(self.mean)
        squares, products, counts = self._sums()
        mean = self._total / self.count
        spread = (squares - 2 * mean * products + mean**2 * counts).clip(min=0)
        error: np.ndarray = np.sqrt(spread * self.units / (self.units - 1)) / self.count
        return error

    def _sums(self) -> list[np.ndarray]:
        """The sums over all units, the last one included as far as it came."""
        count, total = self._open
        latest = (total**2, count * total, np.asarray(count**2))
        return [one + other for one, other in zip(self._closed, latest, strict=True)]


@dataclass(frozen=True)
class MapDifference:
    """Class a minus class b: positive where a is more salient, and how sure that is."""

    mean: np.ndarray  # [H, W]
    standard_error: np.ndarray  # [H, W]


def subtract_means(first: Moments, second: Moments) -> MapDifference:
    """The mean map of the first class minus that of the second."""
    error: np.ndarray = np.hypot(first.standard_error(), second.standard_error())
    return MapDifference(first.mean - second.mean, error)
