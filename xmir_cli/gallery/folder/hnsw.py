"""Approximate search by a navigable small-world graph; the only file that knows hnswlib.

hnswlib 0.8 never reports a failed write, crashes on damaged files, forgets `ef` in a file, raises
when asked for more than there is, and builds a different graph with two threads than with one.

Source: Malkov and Yashunin, Efficient and robust approximate nearest neighbor search using
hierarchical navigable small world graphs, TPAMI 2020.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import hnswlib
import numpy as np

from xmir_cli import console
from xmir_cli.arrays import Booleans, Integers
from xmir_cli.errors import DataError
from xmir_cli.gallery.folder.exact import (
    Neighbours,
    Scope,
    error_bound,
    rank_each,
    search,
)
from xmir_cli.gallery.folder.graph_file import check_graph_file
from xmir_cli.gallery.folder.rows import Rows
from xmir_cli.gallery.protocol import GraphSettings
from xmir_cli.gallery.vectors import Vectors

_AT_ONCE = 100  # vectors that are added between two looks at how many are done
_SAMPLE = 200  # queries by which recall is measured
RECALL_AT = 10
_NOTHING: Integers = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Graph:
    """A graph over the vectors of a gallery [N, D]."""

    index: hnswlib.Index
    settings: GraphSettings

    def search(
        self, vectors: Rows, queries: Vectors, k: int, scope: Scope | None = None
    ) -> list[Neighbours]:
        """The k nearest items [B] in scope, almost always; similarities are recomputed exactly.

        More than k are asked for, by as many as a query may not find and as others are likely to be
        out of scope. Where fewer than k of them are left, where others may be as near as the k-th,
        or where some are equally near, which links of a graph do not tell apart, all items are gone
        through: what is found is what exact search finds, but for those that the graph misses.
        """
        if scope is None:
            scope = Scope(None, [_NOTHING] * len(queries))
        found: dict[int, Neighbours | None] = {}
        for depth, asked in self._by_depth(scope, k, len(vectors)).items():
            looked = self._look(vectors, queries[asked], k, scope.of(asked), depth)
            found |= dict(zip(asked, looked, strict=True))
        doubtful = [query for query in range(len(queries)) if found[query] is None]
        if doubtful:
            exact = search(vectors, queries[doubtful], k, scope.of(doubtful))
            found |= dict(zip(doubtful, exact, strict=True))
        return [near for query in range(len(queries)) if (near := found[query]) is not None]

    def depth(self, k: int, rows: int, allowed: int, excluded: int) -> int:
        """How many candidates are asked for where so many of all rows may be found, but for some.

        It follows from the query alone, not from what is asked beside it.
        """
        if allowed == rows and not excluded:
            return min(rows, max(self.settings.ef, 2 * k))
        if not allowed:
            return rows
        enough = 2 * (k + excluded) * rows // allowed
        # few different ones, for a graph is asked for one number at a time
        return min(rows, max(self.settings.ef, 1 << (enough - 1).bit_length()))

    def _by_depth(self, scope: Scope, k: int, rows: int) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        allowed = rows if scope.allowed is None else int(scope.allowed.sum())
        for query, excluded in enumerate(scope.excluded):
            found.setdefault(self.depth(k, rows, allowed, len(excluded)), []).append(query)
        return found

    def _look(
        self, vectors: Rows, queries: Vectors, k: int, scope: Scope, depth: int
    ) -> list[Neighbours | None]:
        """The same by `depth` candidates; None where they do not tell."""
        try:
            self.index.set_ef(depth)
            candidates, distances = self.index.knn_query(queries, k=depth)
        except RuntimeError:  # fewer were reached by one of them, which hnswlib cannot return
            if len(queries) == 1:
                return [None]
            parts = [(queries[row : row + 1], scope.of([row])) for row in range(len(queries))]
            return [self._look(vectors, query, k, own, depth)[0] for query, own in parts]
        rows = candidates.astype(np.int64)
        fit = np.cumsum(_in_scope(rows, scope, len(vectors)), axis=1)
        kth = np.minimum((fit < k).sum(axis=1, keepdims=True), depth - 1)
        bound = np.take_along_axis(distances, kth, axis=1) + error_bound(vectors.shape[1])
        as_near = (distances <= bound).sum(axis=1)  # as far as float32 tells
        kept = min(int(as_near.max()) + 1, depth)
        which = np.repeat(np.arange(len(queries)), kept)
        ranked = rank_each(vectors, queries, which, rows[:, :kept].ravel(), kept)
        together = Neighbours(
            np.stack([near.rows for near in ranked]),
            np.stack([near.similarities for near in ranked]),
        )
        fits = _in_scope(together.rows, scope, len(vectors))
        found: list[Neighbours | None] = []
        for row, near in enumerate(ranked):
            places = np.flatnonzero(fits[row])[:k]
            is_whole = depth == len(vectors)  # nothing else is there
            enough = len(places) == k and as_near[row] < depth and not _has_ties(near, places[-1])
            found.append(
                Neighbours(near.rows[places], near.similarities[places])
                if is_whole or enough
                else None
            )
        return found


def _has_ties(near: Neighbours, last: int) -> bool:
    """Whether any up to the place `last` is as near as the one after it."""
    similarities = near.similarities[: last + 2]
    return bool((similarities[:-1] == similarities[1:]).any())


def _in_scope(rows: Integers, scope: Scope, count: int) -> Booleans:
    """Which of the rows [B, m] the queries may find, of `count` in all."""
    fits = np.ones(rows.shape, dtype=bool) if scope.allowed is None else scope.allowed[rows]
    queries = np.arange(len(rows)) * count
    excluded = [own + first for own, first in zip(scope.excluded, queries, strict=True)]
    pairs = np.concatenate([_NOTHING, *excluded])
    if len(pairs):
        asked = rows + queries[:, None]
        places = np.minimum(np.searchsorted(pairs, asked), len(pairs) - 1)
        fits &= pairs[places] != asked
    return fits


def _search_all(vectors: Rows, queries: Vectors, k: int) -> list[Neighbours]:
    return search(vectors, queries, k, Scope(None, [_NOTHING] * len(queries)))


def build_graph(vectors: Rows, settings: GraphSettings, threads: int = 1) -> Graph:
    """The graph of finite unit vectors [N, D]; of one thread it is the same every time."""
    rows, dim = vectors.shape
    index = hnswlib.Index("ip", dim)
    index.init_index(
        rows, M=settings.m, ef_construction=settings.ef_construction, random_seed=settings.seed
    )
    with console.progress("building the graph", rows) as bar:
        for start in range(0, rows, _AT_ONCE * threads):
            part = vectors[start : start + _AT_ONCE * threads]
            index.add_items(part, num_threads=threads)
            bar.advance(len(part))
    return Graph(index, settings)


def save_graph(graph: Graph, path: Path) -> None:
    """Write the graph; raises OSError or DataError when it is not there whole afterwards."""
    size = int(graph.index.index_file_size())
    with path.open("xb") as file:
        if sys.platform == "linux":
            os.posix_fallocate(file.fileno(), 0, size)  # tells of a full disk, save_index does not
    with _plain_folder(path.parent) as folder:
        graph.index.save_index(f"{folder}/{path.name}")
    if path.stat().st_size != size:
        raise DataError(f"{path}: expected {size} bytes, found {path.stat().st_size}; disk full?")


def load_graph(path: Path, rows: int, dim: int, settings: GraphSettings) -> Graph:
    """Read a graph of `rows` vectors [D = dim]; raises DataError when it is none of that size."""
    check_graph_file(path, rows, dim, settings.m)
    return load_checked_graph(path, rows, dim, settings)


def load_checked_graph(path: Path, rows: int, dim: int, settings: GraphSettings) -> Graph:
    """The same of a file that was looked through already: hnswlib crashes on a forged one."""
    index = hnswlib.Index("ip", dim)
    with _plain_folder(path.parent) as folder:
        try:
            index.load_index(f"{folder}/{path.name}")
        except RuntimeError:
            raise DataError(f"{path}: not a graph of hnswlib", "Build the index again.") from None
    if index.get_current_count() != rows:
        raise DataError(f"{path}: expected {rows} items, found {index.get_current_count()}")
    return Graph(index, settings)


def measure_recall(graph: Graph, vectors: Rows) -> float:
    """The share of the exact 10 nearest that the graph finds, for a seeded sample of the items."""
    generator = np.random.default_rng(graph.settings.seed)
    chosen = np.sort(generator.permutation(len(vectors))[:_SAMPLE])
    queries, k = np.ascontiguousarray(vectors[chosen]), min(RECALL_AT, len(vectors))
    truth = _search_all(vectors, queries, k)
    found = graph.search(vectors, queries, k)
    rounding = vectors.shape[1] * float(np.finfo(np.float64).eps)  # of products that are equal
    shares = [
        # by similarity, for any of several equally near items is as good as another
        (hits.similarities >= exact.similarities[-1] - rounding).mean()
        for hits, exact in zip(found, truth, strict=True)
    ]
    return float(np.mean(shares))


@contextmanager
def _plain_folder(folder: Path) -> Iterator[str]:
    """A name of the folder that hnswlib can take, which wants UTF-8."""
    with tempfile.TemporaryDirectory(prefix="xmir-") as temporary:
        alias = Path(temporary) / "folder"
        alias.symlink_to(folder.absolute(), target_is_directory=True)
        yield str(alias)
