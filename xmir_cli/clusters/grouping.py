"""Vectors in numbered groups, each with its middle and its exemplars."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xmir_cli.arrays import Floats, Integers
from xmir_cli.clusters.spectral import (
    FEWEST,
    MOST,
    Spectrum,
    count_groups,
    default_neighbors,
    find_spectrum,
    neighbor_graph,
    split,
)


@dataclass(frozen=True, kw_only=True)
class GroupingRules:
    """How groups are found."""

    groups: int | None = None  # None: as the eigengap says
    neighbors: int | None = None  # None: by how many vectors there are
    exemplars: int = 6  # of each group
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Grouping:
    """Which group each vector [N] is in, the largest 0, and how that was found."""

    groups: Integers
    distances: Floats  # of each vector to the middle of its group
    neighbors: int
    eigenvalues: Floats  # the smallest of the graph

    @property
    def count(self) -> int:
        """How many groups there are."""
        return int(self.groups.max()) + 1

    def members(self, group: int) -> Integers:
        """The places of a group's vectors, nearest to the middle first."""
        places = np.flatnonzero(self.groups == group)
        return np.asarray(places[np.argsort(self.distances[places], kind="stable")])

    def exemplars(self, group: int, images: Sequence[str], most: int) -> list[int]:
        """The places of those nearest to the middle, of one image only the nearest."""
        found: dict[str, int] = {}
        for place in self.members(group).tolist():
            found.setdefault(images[place], place)
        return list(found.values())[:most]


def group_vectors(vectors: Floats, rules: GroupingRules) -> Grouping:
    """Groups of vectors [N, D], numbered by size; of the same size the one that begins first."""
    neighbors = min(rules.neighbors or default_neighbors(len(vectors)), max(1, len(vectors) - 1))
    if len(vectors) < 2:
        spectrum = Spectrum(np.zeros(len(vectors)), np.ones((len(vectors), 1)))
    else:
        most = max(MOST + 1, rules.groups or 0)
        spectrum = find_spectrum(neighbor_graph(vectors, neighbors), most)
    told = count_groups(spectrum.values) if len(vectors) >= FEWEST else 1
    groups = _by_size(split(spectrum, rules.groups or told, rules.seed))
    middles = np.stack([vectors[groups == each].mean(0) for each in range(groups.max() + 1)])
    distances = np.linalg.norm(vectors - middles[groups], axis=1)
    return Grouping(groups, distances, neighbors, spectrum.values)


def _by_size(groups: Integers) -> Integers:
    names, first, inverse, sizes = np.unique(
        groups, return_index=True, return_inverse=True, return_counts=True
    )
    numbers = np.empty(len(names), np.int64)
    numbers[np.lexsort((first, -sizes))] = np.arange(len(names))
    return np.asarray(numbers[inverse])
