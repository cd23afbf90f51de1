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
from xmir_cli.arrays import Integers
from xmir_cli.errors import DataError
from xmir_cli.gallery.folder.exact import (
    Neighbours,
    Rows,
    Scope,
    error_bound,
    rank_each,
    search,
)
from xmir_cli.gallery.folder.graph_file import check_graph_file
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

    def search(self, vectors: Rows, queries: Vectors, k: int) -> list[Neighbours]:
        """The k nearest items [B], almost always; similarities are recomputed exactly.

        More than k are asked for. Where others may be as near as the k-th, or where some are
        equally near, which links of a graph do not tell apart, all items are gone through: what is
        found is what exact search finds, but for those that the graph misses.
        """
        if k >= len(vectors):
            return _search_all(vectors, queries, k)
        depth = min(len(vectors), max(self.settings.ef, 2 * k))
        try:
            self.index.set_ef(depth)
            candidates, distances = self.index.knn_query(queries, k=depth)
        except RuntimeError:  # fewer were reached by one of them, which hnswlib cannot return
            if len(queries) == 1:
                return _search_all(vectors, queries, k)
            return [found for query in queries for found in self.search(vectors, query[None], k)]
        bound = distances[:, k - 1 : k] + error_bound(vectors.shape[1])
        as_near = (distances <= bound).sum(axis=1)  # as far as float32 tells
        kept = max(int(as_near.max()), min(k + 1, depth))
        which = np.repeat(np.arange(len(queries)), kept)
        rows = candidates[:, :kept].astype(np.int64).ravel()
        found = rank_each(vectors, queries, which, rows, kept)
        doubtful = [
            row
            for row, near in enumerate(found)
            if depth < len(vectors) and (as_near[row] == depth or _has_ties(near, k))
        ]
        exact = _search_all(vectors, queries[doubtful], k) if doubtful else []
        for row, near in zip(doubtful, exact, strict=True):
            found[row] = near
        return [Neighbours(near.rows[:k], near.similarities[:k]) for near in found]


def _has_ties(near: Neighbours, k: int) -> bool:
    """Whether any of the first k is as near as the one after it."""
    return bool((near.similarities[:k] == near.similarities[1 : k + 1]).any())


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
