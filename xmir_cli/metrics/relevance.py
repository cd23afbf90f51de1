"""What is relevant to a query, and what does not count for it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from xmir_cli.arrays import Floats, Integers
from xmir_cli.labels import LabelSets, parse_labels
from xmir_cli.metrics.ties import ITSELF, kinds_of

_KNOWN = 1024  # sets of labels whose grades are held


@dataclass(frozen=True)
class LabelledVectors:
    """Unit vectors [N, D] with their labels [N] and groups [N] (patients; None is in no group).

    A label `A|B` is that of both A and B.
    """

    vectors: NDArray[np.float32]
    labels: Sequence[str]
    groups: Sequence[str | None]


class Relevance:
    """What of a gallery is relevant to which query, and what does not count."""

    def __init__(self, queries: LabelledVectors, gallery: LabelledVectors, own: Integers) -> None:
        self._asking, self._own, self.dim = queries.labels, own, gallery.vectors.shape[1]
        self._labels = LabelSets(gallery.labels)
        codes = {value: code for code, value in enumerate(dict.fromkeys(gallery.groups))}
        missing = len(codes)  # a group of a query that the gallery has not, or none at all
        self._searched = np.array([codes[value] for value in gallery.groups], dtype=np.int64)
        self._groups = np.array(
            [missing if value is None else codes.get(value, missing) for value in queries.groups],
            dtype=np.int64,
        )
        self.has_groups = any(value is not None for value in queries.groups)

    def kinds(self, block: slice, labels: Sequence[str] | None = None) -> tuple[np.ndarray, Floats]:
        """The kinds of all items for some queries [B, N], and the grades they stand for.

        With `labels` [B] as if the queries had these.
        """
        asked = [self._of(parse_labels(text)) for text in labels or self._asking[block]]
        widest = max((kinds for _, kinds in asked), key=lambda kinds: kinds.itemsize)
        found = np.empty((len(asked), len(self._searched)), dtype=widest.dtype)
        grades = np.zeros((len(asked), 1 + max(len(each) for each, _ in asked)))
        for row, (each, kinds) in enumerate(asked):
            grades[row, 1 : 1 + len(each)] = each
            found[row] = kinds[self._labels.kinds]
        if self.has_groups:
            found |= self._groups[block, None] == self._searched  # KIN
        own = self._own[block]
        found[np.flatnonzero(own >= 0), own[own >= 0]] |= ITSELF
        return found, grades

    @cached_property
    def _of(self) -> Callable[[frozenset[str]], tuple[Floats, np.ndarray]]:
        """For labels the grades there are [J], and which kind each kind of labels is [C]."""

        def number(labels: frozenset[str]) -> tuple[Floats, np.ndarray]:
            grades, numbers = self._labels.number_grades(labels)
            return grades, kinds_of(numbers)

        return lru_cache(_KNOWN)(number)

    def of_itself(self, block: slice, similarities: Floats) -> Floats:
        """The similarity of each query to itself in the gallery [B]; -1 where it is not there."""
        own = self._own[block]
        return np.where(own >= 0, similarities[np.arange(len(own)), own], -1.0)
