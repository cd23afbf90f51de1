"""How well ranking a gallery by similarity finds images that share a label with the query.

Similarities are float64 dot products; those that differ by rounding alone are equal. The numbers,
and what becomes of ties: ranking.py.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xmir_cli.arrays import Booleans, Floats, Integers
from xmir_cli.labels import LabelSets, parse_labels
from xmir_cli.metrics.ranking import Measures, score
from xmir_cli.metrics.ties import TieGroups, rank

NEAR_DUPLICATE = 0.999  # similarity above which two images count as nearly the same
TIED = 0.01  # the share of tied pairs from which the numbers are worth a warning
_BLOCK = 1 << 18  # similarities held at a time; what is made of them fits a cache
_GRADES = 1 << 40  # steps of a grade; sums of so many do not depend on their order


@dataclass(frozen=True)
class LabelledVectors:
    """Unit vectors [N, D] with their labels [N] and groups [N] (patients; None is in no group).

    A label `A|B` is that of both A and B.
    """

    vectors: NDArray[np.float32]
    labels: Sequence[str]
    groups: Sequence[str | None]


@dataclass(frozen=True)
class Scores:
    """The numbers of every query, [Q, len(names)]; NaN in the rows of queries that have none.

    `pairs` [Q, 2] counts each query's pairs of a relevant item and another, and those of them that
    are equally similar to it: their order would decide, if the numbers were not means over orders.
    """

    names: tuple[str, ...]
    values: Floats
    labels: Sequence[str]
    pairs: Integers

    @property
    def scored(self) -> Booleans:
        """Queries with any relevant item [Q]; the others are left out of all means."""
        return ~np.isnan(self.values[:, 0])

    @property
    def dropped(self) -> int:
        """How many queries were left out."""
        return int((~self.scored).sum())

    @property
    def tied(self) -> float:
        """The share of tied pairs, of all queries; 0 where there are no pairs."""
        pairs, tied = self.pairs.sum(axis=0).tolist()
        return tied / pairs if pairs else 0.0

    def micro(self) -> dict[str, float]:
        """Means over queries; empty when every query was dropped."""
        return self._mean(np.ones(len(self.labels), dtype=bool))

    def by_label(self) -> dict[str, dict[str, float]]:
        """Means over the queries that have each label, sorted, without fully dropped labels."""
        means = {label: self._mean(chosen) for label, chosen in self._labelled.items()}
        return {label: mean for label, mean in means.items() if mean}

    def count_by_label(self) -> dict[str, int]:
        """How many queries the means of each label are over."""
        return {label: int((rows & self.scored).sum()) for label, rows in self._labelled.items()}

    @property
    def _labelled(self) -> dict[str, Booleans]:
        """Which queries have each label, sorted."""
        sets = LabelSets(self.labels)
        return {label: sets.grade(frozenset([label])) > 0 for label in sets.names}

    def macro(self) -> dict[str, float]:
        """Means of the labels' means."""
        means = list(self.by_label().values())
        return {
            name: float(np.mean([mean[name] for mean in means])) for name in self.names if means
        }

    def _mean(self, chosen: Booleans) -> dict[str, float]:
        rows = self.values[chosen & self.scored]
        if not len(rows):
            return {}
        sums = map(math.fsum, rows.T.tolist())  # exact, so that the order of queries is no matter
        return {name: total / len(rows) for name, total in zip(self.names, sums, strict=True)}


@dataclass(frozen=True)
class Evaluation:
    """What ranking a gallery for every query gave."""

    scores: Scores
    other_groups: Scores | None  # without the items of the query's own group; None without groups
    near_duplicates: Integers  # [Q], other items with a similarity above NEAR_DUPLICATE

    def chosen(self, excluded: bool) -> Scores:
        """The numbers without the items of the query's own group, if they are wanted and there."""
        return self.other_groups if excluded and self.other_groups else self.scores


def warn_of_ties(scores: Scores) -> str | None:
    """What is to be said where ties are more than a few; None where not."""
    if scores.tied <= TIED:
        return None
    return (
        f"{scores.tied:.1%} of the pairs of a relevant image and another are equally similar to "
        "their query; every number is the mean over the orders of such ties"
    )


def leave_one_out(
    images: LabelledVectors, measures: Measures, advance: Callable[[int], None] = lambda _: None
) -> Evaluation:
    """Every image is the query once and all others are its gallery; see `evaluate`."""
    return evaluate(images, images, np.arange(len(images.labels)), measures, advance)


def evaluate(
    queries: LabelledVectors,
    gallery: LabelledVectors,
    own: Integers,
    measures: Measures,
    advance: Callable[[int], None] = lambda _: None,
) -> Evaluation:
    """Rank the gallery for each query and score the rankings, a block of queries at a time.

    Args:
        queries: The Q images asked about.
        gallery: The N images searched.
        own: Where each query stands in the gallery itself [Q], -1 when it does not; never counted.
        measures: A ranking shorter than one of its Ks counts as followed by misses.
        advance: Told how many more queries are done.
    """
    labels, kin = LabelSets(gallery.labels), _pair(queries.groups, gallery.groups)
    everyone, others, near = _Collected([], []), _Collected([], []), []
    for block, similarities in _blocks(queries.vectors, gallery.vectors):
        counted = np.arange(len(gallery.labels)) != own[block, None]  # [B, N]
        near.append(((similarities > NEAR_DUPLICATE) & counted).sum(axis=1))
        grades = np.stack([labels.grade(parse_labels(text)) for text in queries.labels[block]])
        grades = np.rint(grades * _GRADES) / _GRADES
        ranking = rank(similarities, grades, rounding(gallery.vectors.shape[1]))
        everyone.add(ranking.ties(counted), measures)
        if kin.any:
            others.add(ranking.ties(counted & ~kin.same(block)), measures)
        advance(len(counted))
    return Evaluation(
        everyone.scores(measures, queries.labels),
        others.scores(measures, queries.labels) if kin.any else None,
        np.concatenate(near),
    )


def rounding(dim: int) -> float:
    """How far apart two float64 products of unit vectors [D] may be that should be equal."""
    return dim * float(np.finfo(np.float64).eps)  # twice the bound of a product's error


@dataclass(frozen=True)
class _Collected:
    """The numbers and pairs of the blocks of queries so far."""

    values: list[Floats]
    pairs: list[Integers]

    def add(self, ties: TieGroups, measures: Measures) -> None:
        total = ties.total
        tied = ties.sum(ties.relevant * (ties.equal - ties.relevant)).astype(np.int64)
        self.values.append(score(ties, measures))
        self.pairs.append(np.stack([total * (ties.items - total), tied], axis=1))

    def scores(self, measures: Measures, labels: Sequence[str]) -> Scores:
        return Scores(
            measures.names, np.concatenate(self.values), labels, np.concatenate(self.pairs)
        )


def _blocks(
    queries: NDArray[np.float32], gallery: NDArray[np.float32]
) -> Iterator[tuple[slice, Floats]]:
    """Slices of queries with their similarities [B, N]."""
    wide = gallery.astype(np.float64).T
    height = max(1, _BLOCK // max(1, len(gallery)))
    for start in range(0, len(queries), height):
        block = slice(start, start + height)
        yield block, queries[block].astype(np.float64) @ wide


@dataclass(frozen=True)
class _Pair:
    """The values of queries [Q] and gallery [N] as numbers, negative for None."""

    queries: Integers
    gallery: Integers

    @property
    def any(self) -> bool:
        return bool((self.queries >= 0).any())

    def same(self, block: slice) -> Booleans:
        """Where both have the same value that is not None, [B, N]."""
        return np.asarray(self.queries[block, None] == self.gallery)


def _pair(queries: Sequence[str | None], gallery: Sequence[str | None]) -> _Pair:
    codes = {value: code for code, value in enumerate(dict.fromkeys([*queries, *gallery]))}
    return _Pair(
        np.array([codes[value] if value is not None else -1 for value in queries], dtype=np.int64),
        np.array([codes[value] if value is not None else -2 for value in gallery], dtype=np.int64),
    )
