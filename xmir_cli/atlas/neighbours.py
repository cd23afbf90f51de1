"""The images nearest to each, for all images at once: exactly, or of a graph.

Up to `EXACT` images every similarity is computed. Of more, a graph over their principal axes names
candidates, whose similarities are computed; how often it misses one is measured on a sample.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from xmir_cli import console
from xmir_cli.arrays import Floats, Integers
from xmir_cli.atlas.axes import Axes, project
from xmir_cli.atlas.nearest import AT_ONCE, Nearest, NearestFound, NearRows, row_parts
from xmir_cli.gallery.vectors import Vectors
from xmir_cli.threads import count_threads

EXACT = 20_000  # images, which take half a minute
_BATCH = 2048  # images asked for at once of a graph
_DEPTH, _DEEPER = 50, 500  # candidates; more where those are of the same patient
_SAMPLE = 200  # images by which recall is measured


@dataclass(frozen=True, eq=False)
class Neighbourhoods:
    """The k nearest images of each image [N]."""

    near: NearRows  # [N, k]
    others: NearRows  # [N, k], those of other patients; the same object where no patient is known
    recall: float | None  # of a graph; None: nothing is missed

    @cached_property
    def to_others(self) -> Floats:
        """The mean similarity [N] to the k nearest of other patients; NaN: there is none."""
        return self.others.means

    @property
    def most(self) -> int:
        """How many neighbours an image has at most: k, or the number of others if that is less."""
        return int((self.near.rows >= 0).sum(axis=1).max(initial=0))


def find_neighbours(
    vectors: Vectors, groups: Integers, k: int, axes: Axes, what: str
) -> Neighbourhoods:
    """The k nearest images of each.

    Args:
        vectors: Unit vectors [N, D].
        groups: The patient of each image [N], as a number; -1 where nobody knows.
        k: How many, at least 1; fewer where there are not so many others.
        axes: The principal axes of the vectors.
        what: What it is done for, as its progress says.
    """
    count = len(vectors)
    nearest = Nearest(vectors, groups, min(k, max(1, count - 1)))
    graph = None if count <= EXACT else _Graph(project(vectors, axes).astype(np.float32), nearest)
    kept = _nobody(count, nearest.k)
    others = kept if (groups < 0).all() else _nobody(count, nearest.k)
    with console.progress(what, count) as bar:
        for asked in row_parts(np.arange(count), AT_ONCE if graph is None else _BATCH):
            found = nearest.of(asked) if graph is None else graph.of(asked)
            kept.put(asked, found.near)
            others.put(asked, found.others)
            bar.advance(len(asked))
    return Neighbourhoods(kept, others, None if graph is None else _recall(nearest, kept))


def _nobody(count: int, k: int) -> NearRows:
    return NearRows(np.full((count, k), -1), np.full((count, k), np.nan))


class _Graph:
    """A graph over points [N, m], built by one thread, so that it is always the same."""

    def __init__(self, points: np.ndarray, nearest: Nearest) -> None:
        import hnswlib  # noqa: PLC0415 # only where there are many

        self.points, self.nearest = points, nearest
        self.index = hnswlib.Index("l2", points.shape[1])
        self.index.init_index(len(points), M=16, ef_construction=100, random_seed=0)
        with console.progress("building the graph", len(points)) as bar:
            for part in np.array_split(points, math.ceil(len(points) / _BATCH)):
                self.index.add_items(part, num_threads=1)
                bar.advance(len(part))

    def of(self, asked: Integers) -> NearestFound:
        """The nearest of some; whoever's candidates are of too few other patients has more."""
        found = self._at(asked, _DEPTH)
        for lacking in row_parts(np.flatnonzero(found.others.rows[:, -1] < 0), AT_ONCE):
            deeper = self._at(asked[lacking], _DEEPER)
            found.near.put(lacking, deeper.near)
            found.others.put(lacking, deeper.others)
        alone = np.flatnonzero(found.others.rows[:, 0] < 0)
        if len(alone):
            found.others.put(alone, self.nearest.of(asked[alone]).others)
        return found

    def _at(self, asked: Integers, depth: int) -> NearestFound:
        self.index.set_ef(2 * depth)
        try:
            found, _ = self.index.knn_query(self.points[asked], depth, num_threads=count_threads())
        except RuntimeError:  # it reaches fewer of one of them, which hnswlib cannot return
            return self.nearest.of(asked)
        return self.nearest.among(asked, found.astype(np.int64))


def _recall(nearest: Nearest, kept: NearRows) -> float:
    """The share of the exact k nearest that the graph finds, of some images.

    It is counted by similarity, for any of several equally near images is as good as another.
    """
    asked = np.linspace(0, len(kept.rows) - 1, _SAMPLE).astype(np.int64)
    exact = nearest.of(asked).near.similarities
    rounding = nearest.vectors.shape[1] * float(np.finfo(np.float64).eps)
    return float((kept.similarities[asked] >= exact[:, -1:] - rounding).mean())
