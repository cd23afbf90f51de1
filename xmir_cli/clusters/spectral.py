"""Groups of vectors by their graph of neighbours, and how many there are.

Source: von Luxburg, A tutorial on spectral clustering, 2007; Ng, Jordan and Weiss, NIPS 2001; for
maps Lapuschkin et al., Unmasking Clever Hans predictors, Nature Communications 2019.
"""

import math
import warnings
from dataclasses import dataclass

import numpy as np

from xmir_cli.arrays import Floats, Integers

MOST = 10  # groups that the eigengap looks for
FEWEST = 8  # vectors of which it can tell more than one group
_TIMES = 5  # how far the eigenvalue above a gap lies over the one below it
_EQUAL = 1e-9  # distances that differ by less, as a share of the largest, are ties
_NOTHING = 1e-9  # an eigenvalue of a graph in parts, but for rounding


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The smallest eigenvalues [K] of a graph's normalised Laplacian, and their vectors [N, K]."""

    values: Floats
    vectors: Floats


def default_neighbors(count: int) -> int:
    """As many neighbours as keep the graph of one group whole: 1.5 log2 of the vectors.

    Rounded down, and fewer than half of the vectors: two groups of one size are to come apart.
    """
    return max(1, min(count // 2 - 1, math.floor(1.5 * math.log2(max(count, 1)))))


def neighbor_graph(vectors: Floats, neighbors: int) -> Floats:
    """Affinity [N, N] of vectors [N, D]: 1 for two that are neighbours of each other, 0.5 for one.

    Neighbours are the nearest by Euclidean distance, all those that tie with the last of them.
    """
    squares = (vectors**2).sum(1)
    distances = squares[:, None] + squares[None] - 2 * (vectors @ vectors.T)
    tie = _EQUAL * float(squares.max(initial=0))
    np.fill_diagonal(distances, np.inf)
    last = np.partition(distances, neighbors - 1, axis=1)[:, neighbors - 1]
    near = (distances <= last[:, None] + tie).astype(np.float64)
    return np.asarray((near + near.T) / 2)


def find_spectrum(affinity: Floats, most: int) -> Spectrum:
    """The `most` smallest eigenvalues of I - D^-1/2 W D^-1/2; of each vector the largest is > 0."""
    from scipy.linalg import eigh  # noqa: PLC0415 # an extra

    scale = 1 / np.sqrt(affinity.sum(1))
    laplacian = -scale[:, None] * affinity * scale[None]
    laplacian[np.diag_indices_from(laplacian)] += 1
    last = min(most, len(affinity)) - 1
    values, vectors = eigh(laplacian, subset_by_index=[0, last], overwrite_a=True)
    largest = np.abs(vectors).argmax(0)
    signs = np.sign(vectors[largest, np.arange(vectors.shape[1])])
    return Spectrum(np.clip(values, 0, None), vectors * signs)


def count_groups(values: Floats) -> int:
    """How many groups the eigenvalues tell of: those below the widest gap between two.

    A gap counts where the eigenvalue above it is more than five times the one below. Without any
    groups, of vectors that change gradually along one line, the eigenvalues grow as 1, 4, 9, along
    several slower: no gap counts but the first, which says one group.
    """
    low, high = values[:-1], values[1:]
    gaps = np.where(high > _TIMES * np.maximum(low, _NOTHING), high - low, 0)
    return int(gaps.argmax()) + 1 if gaps.size else 1


def split(spectrum: Spectrum, count: int, seed: int) -> Integers:
    """Which of `count` groups each vector is in: k-means of the eigenvectors' rows at length 1."""
    if count == 1:
        return np.zeros(len(spectrum.vectors), np.int64)
    from sklearn.cluster import KMeans  # noqa: PLC0415 # an extra

    rows = spectrum.vectors[:, :count]
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of fewer different vectors than groups: it finds fewer
        found = KMeans(count, n_init=10, random_state=seed).fit_predict(rows)
    return np.asarray(found, np.int64)
