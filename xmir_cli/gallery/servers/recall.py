"""How many of the nearest the graph of a collection finds, measured when it was loaded."""

import numpy as np

from xmir_cli.gallery.servers.clauses import Clause
from xmir_cli.gallery.servers.collection import Collection
from xmir_cli.gallery.servers.columns import ROW
from xmir_cli.gallery.servers.nearest import find_by_graph, find_nearest
from xmir_cli.gallery.vectors import Vectors

_SAMPLE = 50  # queries, each of which goes through all items once
_AT = 10


def measure_recall(collection: Collection) -> float | None:
    """The share of the exact 10 nearest that the graph finds, for a seeded sample; or None."""
    about = collection.about
    if about.settings is None:
        return None
    generator = np.random.default_rng(about.settings.seed)
    chosen = sorted(generator.permutation(about.rows)[:_SAMPLE].tolist())
    found = collection.read([Clause(ROW, tuple(chosen))], [], vectors=True, span=None)
    queries = found.vectors if found.vectors is not None else np.empty((0, about.dim), np.float32)
    k = min(_AT, about.rows)
    return float(np.mean([_share(collection, query, k, about.settings.ef) for query in queries]))


def _share(collection: Collection, query: Vectors, k: int, ef: int) -> float:
    exact = find_nearest(query, k, None, lambda n, _: collection.nearest(query, n, [], None))
    graph = find_by_graph(query, k, ef, lambda n: collection.nearest(query, n, [], ef)) or exact
    rounding = len(query) * float(np.finfo(np.float64).eps)
    # by similarity, for any of several equally near items is as good as another
    return float((graph.similarities >= exact.similarities[-1] - rounding).mean())
