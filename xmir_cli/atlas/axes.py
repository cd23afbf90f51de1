"""Principal axes, by the covariance in float64: a block of the vectors is in memory at a time."""

from dataclasses import dataclass

import numpy as np

from xmir_cli.arrays import Floats
from xmir_cli.atlas.points import row_blocks
from xmir_cli.gallery.vectors import Vectors


@dataclass(frozen=True, eq=False)
class Axes:
    """The directions in which vectors differ most, the largest variance first."""

    mean: Floats  # [D]
    directions: Floats  # [m, D], orthonormal
    variances: Floats  # [m]
    total: float  # of all D variances

    @property
    def shares(self) -> Floats:
        """The share of the variance along each direction [m]; 0 where all vectors are one."""
        return self.variances / self.total if self.total > 0 else np.zeros(len(self.variances))


def principal_axes(vectors: Vectors, most: int) -> Axes:
    """The first axes of vectors [N, D], `most` of them or D.

    An axis points to where its number that is largest without its sign is positive, the first of
    equal ones, so that the same vectors give the same picture.
    """
    count, dim = vectors.shape
    mean = np.zeros(dim)
    for rows in row_blocks(count):
        mean += vectors[rows].sum(axis=0, dtype=np.float64) / count
    covariance = np.zeros((dim, dim))
    for rows in row_blocks(count):
        left = vectors[rows] - mean
        covariance += left.T @ left / count
    values, found = np.linalg.eigh(covariance)
    order = np.argsort(-values, kind="stable")[:most]
    directions = found.T[order]
    largest = np.argmax(np.abs(directions), axis=1)
    signs = np.where(directions[np.arange(len(order)), largest] < 0, -1.0, 1.0)
    variances = np.clip(values[order], 0, None)
    return Axes(mean, directions * signs[:, None], variances, float(np.clip(values, 0, None).sum()))


def project(vectors: Vectors, axes: Axes) -> Floats:
    """Where vectors [N, D] lie along the axes [N, m]."""
    placed = np.empty((len(vectors), len(axes.directions)))
    for rows in row_blocks(len(vectors)):
        placed[rows] = (vectors[rows] - axes.mean) @ axes.directions.T
    return placed
