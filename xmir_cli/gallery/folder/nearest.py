"""The nearest rows of a folder's vectors: by exact search, or by a graph where that is quicker."""

from typing import Protocol

from xmir_cli.gallery.folder import exact
from xmir_cli.gallery.folder.exact import Neighbours, Scope
from xmir_cli.gallery.folder.rows import Rows
from xmir_cli.gallery.vectors import Vectors

# numbers in all vectors, 64 MB, below which a graph is left alone: around there, exact search takes
# as long for 300 queries as reading the graph and asking it, for one a tenth to a third of that
# (tests/benchmarks/search.py). How many are asked never counts: a graph misses a few of the
# nearest, and a query would find others in company than alone
GRAPH_FROM = 1 << 24
# of a gallery for each candidate that conditions make a graph look at: with more of them exact
# search of many queries is as quick. Of 60,000 x 64 it takes 0.34 ms a query, and a graph 0.09,
# 0.28 and 0.67 ms for 64, 256 and 512 candidates, of a million more, for they lie further apart
ROWS_A_CANDIDATE = 2048


class Searcher(Protocol):
    """A faster way to the nearest of a gallery's vectors."""

    def depth(self, k: int, rows: int, allowed: int, excluded: int) -> int:
        """How many candidates it looks at where so many of all rows may be found, but for some."""

    def search(self, vectors: Rows, queries: Vectors, k: int, scope: Scope) -> list[Neighbours]:
        """The k nearest rows of each query [B, D]; k is at most half of the gallery."""


def is_for_graphs(rows: int, dim: int, k: int) -> bool:
    """Whether vectors [rows, dim] are so many that a graph is faster, and finds the k nearest."""
    return rows * dim >= GRAPH_FROM and k <= rows // 2


def find_nearest(
    rows: Rows, graph: Searcher | None, queries: Vectors, k: int, scope: Scope
) -> list[Neighbours]:
    """The k nearest rows of each query [B, D], fewer where the scope is narrow.

    The way is chosen for each query by itself.
    """
    if graph is None:
        return exact.search(rows, queries, k, scope)
    fit = _fit(graph, len(rows), k, scope)
    rest = sorted({*range(len(queries))} - {*fit})
    found: dict[int, Neighbours] = {}
    if fit:
        near = graph.search(rows, queries[fit], k, scope.of(fit))
        found |= dict(zip(fit, near, strict=True))
    if rest:
        near = exact.search(rows, queries[rest], k, scope.of(rest))
        found |= dict(zip(rest, near, strict=True))
    return [found[query] for query in range(len(queries))]


def _fit(graph: Searcher, rows: int, k: int, scope: Scope) -> list[int]:
    """The queries for which the graph has to look at few enough candidates."""
    allowed = rows if scope.allowed is None else int(scope.allowed.sum())
    narrowed = allowed < rows
    return [
        query
        for query, excluded in enumerate(scope.excluded)
        if not (narrowed or len(excluded))
        or graph.depth(k, rows, allowed, len(excluded)) * ROWS_A_CANDIDATE <= rows
    ]
