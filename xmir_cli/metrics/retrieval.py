"""How well ranking a gallery by similarity finds images that share a label with the query.

Similarities are float64 dot products; those that differ by rounding alone are equal. The numbers,
and what becomes of ties: ranking.py.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from xmir_cli.arrays import Floats, Integers
from xmir_cli.labels import parse_labels
from xmir_cli.metrics.ranking import Measures, score
from xmir_cli.metrics.relevance import LabelledVectors, Relevance
from xmir_cli.metrics.scores import LabelScores, Scores
from xmir_cli.metrics.ties import ITSELF, KIN, TieGroups, rank
from xmir_cli.threads import Map, threads

NEAR_DUPLICATE = 0.999  # similarity above which two images count as nearly the same
TIED = 0.01  # the share of tied pairs from which the numbers are worth a warning
_PRODUCTS = 1 << 25  # similarities held at a time, 256 MB
_LEAST, _MOST = 4, 128  # queries of which they are held: widening the gallery takes its time
_ROWS = 1024  # of the gallery widened at a time
_BLOCK = 1 << 18  # similarities ranked at a time; what is made of them fits a cache


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
    found = _evaluate(queries, gallery, own, measures, advance)
    parts = [sorted(parse_labels(text)) for text in queries.labels] if measures.by_label else []
    pairs = [(row, label) for row, each in enumerate(parts) if len(each) > 1 for label in each]
    if not pairs:
        return found
    rows, labels = np.array([row for row, _ in pairs]), [label for _, label in pairs]
    groups = [queries.groups[row] for row in rows.tolist()]
    asking = LabelledVectors(queries.vectors[rows], labels, groups)
    each = _evaluate(asking, gallery, own[rows], measures, lambda _: None)

    def join(scores: Scores, alone: Scores) -> Scores:
        return replace(scores, alone=LabelScores(rows, labels, alone.values))

    others = found.other_groups
    if others is not None:  # without a group among these all neighbours are other ones
        others = join(others, each.other_groups or each.scores)
    return replace(found, scores=join(found.scores, each.scores), other_groups=others)


def _evaluate(
    queries: LabelledVectors,
    gallery: LabelledVectors,
    own: Integers,
    measures: Measures,
    advance: Callable[[int], None],
) -> Evaluation:
    relevance = Relevance(queries, gallery, own)
    parts: list[_Part] = []
    with threads() as spread:
        for start, similarities in similarity_blocks(queries.vectors, gallery.vectors, spread):
            height = max(1, _BLOCK // similarities.shape[1])
            rows = range(0, len(similarities), height)
            blocks = [slice(row, min(row + height, len(similarities))) for row in rows]
            ranked = partial(_rank, relevance, measures, start, similarities)
            for part in spread(ranked, blocks):
                parts.append(part)
                advance(len(part.near))
    return Evaluation(
        _join([part.everyone for part in parts], measures, queries.labels),
        _join([part.others for part in parts], measures, queries.labels)
        if relevance.has_groups
        else None,
        np.concatenate([part.near for part in parts]),
    )


def rounding(dim: int) -> float:
    """How far apart two float64 products of unit vectors [D] may be that should be equal."""
    return dim * float(np.finfo(np.float64).eps)  # twice the bound of a product's error


@dataclass(frozen=True)
class _Counts:
    """The numbers [B, M] and pairs [B, 2] of some queries; see `Scores`."""

    values: Floats
    pairs: Integers


@dataclass(frozen=True)
class _Part:
    """What ranking the gallery for some queries gave; see `Evaluation`."""

    everyone: _Counts
    others: _Counts | None
    near: Integers


def _rank(
    relevance: Relevance,
    measures: Measures,
    start: int,
    similarities: Floats,
    rows: slice,
) -> _Part:
    """Rank for some rows of the similarities [B, N] of queries from `start` on."""
    part, block = similarities[rows], slice(start + rows.start, start + rows.stop)
    kinds, grades = relevance.kinds(block)
    near = (part > NEAR_DUPLICATE).sum(axis=1)
    near -= relevance.of_itself(block, part) > NEAR_DUPLICATE
    ranking = rank(part, kinds, rounding(relevance.dim))
    everyone = _count(ranking.ties(grades, ITSELF), measures)
    if not relevance.has_groups:
        return _Part(everyone, None, near)
    return _Part(everyone, _count(ranking.ties(grades, KIN), measures), near)


def _count(ties: TieGroups, measures: Measures) -> _Counts:
    total = ties.total
    tied = ties.several.sum(ties.several.relevant * (ties.several.equal - ties.several.relevant))
    return _Counts(
        score(ties, measures),
        np.stack([total * (ties.items - total), tied], axis=1).astype(np.int64),
    )


def _join(parts: Sequence[_Counts | None], measures: Measures, labels: Sequence[str]) -> Scores:
    found = [part for part in parts if part is not None]
    return Scores(
        measures.names,
        np.concatenate([part.values for part in found]),
        labels,
        np.concatenate([part.pairs for part in found]),
    )


def similarity_blocks(
    queries: NDArray[np.float32], gallery: NDArray[np.float32], spread: Map
) -> Iterator[tuple[int, Floats]]:
    """Where a block of queries starts, with its similarities [B, N] until the next.

    Whoever gets them may write into them.
    """
    height = min(max(_LEAST, _PRODUCTS // max(1, len(gallery))), _MOST)
    held = np.empty((height, len(gallery)))
    parts = [slice(first, first + _ROWS) for first in range(0, len(gallery), _ROWS)]
    for start in range(0, len(queries), height):
        wide = queries[start : start + height].astype(np.float64)
        found = held[: len(wide)]

        def multiply(rows: slice, wide: Floats = wide, found: Floats = found) -> None:
            found[:, rows] = wide @ gallery[rows].astype(np.float64).T

        deque(spread(multiply, parts), maxlen=0)
        yield start, found
