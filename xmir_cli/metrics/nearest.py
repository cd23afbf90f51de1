"""The first places of rankings, in an order that does not depend on that of the rows."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from xmir_cli.arrays import Floats, Integers
from xmir_cli.metrics.relevance import LabelledVectors
from xmir_cli.metrics.retrieval import rounding, similarity_blocks
from xmir_cli.metrics.shortcut import number_units
from xmir_cli.threads import threads


@dataclass(frozen=True)
class Places:
    """Which of a ranking are wanted."""

    depth: int  # from the first on
    exclude: bool = False  # whether the images of the query's own group are left out


def nearest(
    queries: LabelledVectors,
    gallery: LabelledVectors,
    own: Integers,
    places: Places,
    advance: Callable[[int], None] = lambda _: None,
) -> list[Integers]:
    """For each query the places of the most similar images, the nearest first.

    Args:
        queries: The Q images asked about.
        gallery: The N images searched; those that are equally similar stand in their order.
        own: Where each query stands in the gallery itself [Q], -1 when it does not; never found.
        places: How many; fewer where there are not as many.
        advance: Told how many more queries are done.
    """
    groups = number_units([*queries.groups, *gallery.groups])
    asking, searched = groups[: len(own)], groups[len(own) :]
    found: list[Integers] = []
    tolerance = rounding(gallery.vectors.shape[1])
    with threads() as spread:
        for start, similarities in similarity_blocks(queries.vectors, gallery.vectors, spread):
            for row, similar in enumerate(similarities, start):
                if places.exclude:
                    similar[searched == asking[row]] = -np.inf
                if own[row] >= 0:
                    similar[own[row]] = -np.inf
                found.append(_first(similar, places.depth, tolerance))
            advance(len(similarities))
    return found


def _first(similar: Floats, depth: int, tolerance: float) -> Integers:
    """The places of the greatest of these similarities [N], but of minus infinity."""
    depth = min(depth, int(np.isfinite(similar).sum()))
    if not depth:
        return np.empty(0, dtype=np.int64)
    least = np.partition(similar, len(similar) - depth)[len(similar) - depth]
    near = np.flatnonzero(similar >= least - tolerance)
    near = near[np.argsort(-similar[near], kind="stable")]
    apart = -np.diff(similar[near]) > tolerance
    run = np.concatenate([[0], np.cumsum(apart)])  # of equally similar ones
    return np.asarray(near[np.lexsort((near, run))][:depth])
