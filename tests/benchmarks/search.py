"""Search: xmir's exact and graph search against NumPy and faiss, one by one and 200 at once.

    python tests/benchmarks/search.py [--large] [--graphs] [--crossing]

Random unit vectors in clusters of 200. Every contestant's ids are compared with NumPy's. With
--crossing instead: from which size on reading the graph and asking it is faster than exact search.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from timing import Times, arguments, chart, need, rounds, table

from xmir_cli.gallery.folder import nearest
from xmir_cli.gallery.folder.build import build_gallery
from xmir_cli.gallery.folder.engine import open_gallery
from xmir_cli.gallery.folder.manifest import GraphSettings
from xmir_cli.gallery.protocol import Gallery
from xmir_cli.gallery.vectors import Vectors
from xmir_cli.retrieval.queries import Question
from xmir_cli.store.embeddings import Embeddings
from xmir_cli.wire.model import ModelSpec

SIZES = [(14_000, 1024), (100_000, 256)]
LARGE, QUICK = [(1_000_000, 256)], [(1000, 32)]
CROSSING = [(4000, 256), (14_000, 384), (40_000, 256), (14_000, 1024), (100_000, 256)]
COMMANDS = [1, 20, 300, 1000]  # queries of a command, searched 256 at a time
SINGLE, BATCH, K = 20, 200, 10
CACHE = 1 << 29  # bytes; no processor keeps that many, so that they come from memory
SETTINGS = GraphSettings(m=16, ef_construction=200, ef=64)

Ids = NDArray[np.int64]
Search = Callable[[Vectors], Ids]  # queries [B, D] to ids [B, K], best first


def unit_vectors(rows: int, dim: int) -> Vectors:
    """Clustered unit vectors [N, D]."""
    generator = np.random.default_rng(0)
    centres = generator.standard_normal((max(1, rows // 200), dim), dtype=np.float32)
    vectors = generator.standard_normal((rows, dim), dtype=np.float32)
    vectors *= np.float32(0.7)
    for start in range(0, rows, 50_000):
        block = vectors[start : start + 50_000]
        block += centres[generator.integers(0, len(centres), len(block))]
        block /= np.linalg.norm(block, axis=1, keepdims=True)
    return vectors


def by_numpy(vectors: Vectors) -> Search:
    """What a notebook does: a product and a partial sort."""

    def search(queries: Vectors) -> Ids:
        similarities = queries @ vectors.T
        near = np.argpartition(-similarities, K, axis=1)[:, :K]
        order = np.argsort(-np.take_along_axis(similarities, near, axis=1), axis=1)
        return np.take_along_axis(near, order, axis=1)

    return search


def by_xmir(gallery: Gallery) -> Search:
    """What 'xmir query' does once the index is open; ids are the numbers of the items."""
    (everything,) = gallery.iterate(len(gallery), ["id"])
    numbers = {key: number for number, key in enumerate(everything.keys)}

    def search(queries: Vectors) -> Ids:
        found = gallery.search([Question("", query, {}) for query in queries], K)
        return np.array([[numbers[key] for key in hits.keys] for hits in found])

    return search


def by_faiss(vectors: Vectors, graph: bool) -> Search:
    """faiss's exact index, or its graph with the settings of ours."""
    import faiss

    dim = vectors.shape[1]
    if graph:
        index = faiss.IndexHNSWFlat(dim, SETTINGS.m, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = SETTINGS.ef_construction
        index.hnsw.efSearch = SETTINGS.ef
    else:
        index = faiss.IndexFlatIP(dim)
    index.add(vectors)
    return lambda queries: index.search(queries, K)[1]


def contestants(vectors: Vectors, folder: Path, graphs: bool) -> dict[str, Search]:
    """Every engine by name; the index is built, and opened, on the way."""
    import pyarrow as pa

    rows, dim = vectors.shape
    names = [f"images/{row:08d}.png" for row in range(rows)]
    embeddings = Embeddings(pa.table({"id": names, "path": names}), vectors, ModelSpec("-", "-"))
    place = folder / "exact.xmir"
    build_gallery(embeddings, place, "exact", SETTINGS)
    time.sleep(0.2)  # a file that was just written is not remembered as checked
    opening = [milliseconds(place), milliseconds(place)]
    shutil.rmtree(folder / "xmir")  # as if it came from another machine
    opening.append(milliseconds(place))
    told = "once built {:.1f} ms, again {:.1f} ms, unknown and therefore read through {:.0f} ms"
    print(f"\n{rows} x {dim}, opened: {told.format(*opening)}")
    gallery = open_gallery(str(place))
    (everything,) = gallery.iterate(rows)
    mapped = np.asarray(everything.vectors)
    found = {"numpy": by_numpy(mapped), "xmir": by_xmir(gallery)}
    found["faiss Flat"] = by_faiss(mapped, graph=False)
    if graphs:
        nearest.GRAPH_FROM = 0  # however small it is
        start = time.perf_counter()
        build_gallery(embeddings, folder / "graph.xmir", "hnsw", SETTINGS)
        built = time.perf_counter()
        opened = open_gallery(str(folder / "graph.xmir"))
        assert opened.graph is not None
        read = time.perf_counter()
        found |= {
            "xmir HNSW": by_xmir(opened),
            "faiss HNSW": by_faiss(mapped, graph=True),
        }
        theirs = time.perf_counter() - read
        print(
            f"graph built in {built - start:.0f} s (faiss {theirs:.0f} s, all processors)", end=""
        )
        print(f", opened in {1000 * (read - built):.0f} ms")
    return found


def milliseconds(index: Path) -> float:
    """What opening it takes."""
    start = time.perf_counter()
    open_gallery(str(index))
    return 1000 * (time.perf_counter() - start)


def one_by_one(search: Search, queries: Vectors) -> Ids:
    """As many searches as queries."""
    return np.concatenate([search(query[None]) for query in queries])


def agreement(found: Ids, truth: Ids) -> str:
    """The share of the true ids that were found, in whatever order."""
    shares = [len(set(a) & set(b)) / len(b) for a, b in zip(found, truth, strict=True)]
    return f"{100 * np.mean(shares):.2f} % of the ids"


def race(
    title: str, tasks: dict[str, Callable[[], Ids]], number: int, picture: Path | None
) -> Times:
    """Measure one task of every engine."""
    times = rounds(tasks, number)
    truth = times.results["numpy"]
    notes = {name: agreement(ids, truth) for name, ids in times.results.items()}
    table(title, times, "faiss Flat", notes)
    if picture is not None:
        chart(picture, title, times, "faiss Flat")
    return times


def reading(vectors: Vectors) -> float:
    """GB/s at which a thread a processor can read the vectors and do next to nothing."""
    count = os.cpu_count() or 1
    parts = np.array_split(vectors.reshape(-1).view(np.uint64), count)
    seconds = []
    with ThreadPoolExecutor(count) as pool:
        for _ in range(5):
            start = time.perf_counter()
            list(pool.map(np.bitwise_or.reduce, parts))
            seconds.append(time.perf_counter() - start)
    return float(vectors.nbytes / 1e9 / min(seconds))


def measure(size: tuple[int, int], given: argparse.Namespace) -> None:
    """Both tasks on a gallery of one size."""
    vectors, title = unit_vectors(*size), " x ".join(map(str, size))
    queries = np.ascontiguousarray(vectors[:: size[0] // BATCH][:BATCH])
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        engines = contestants(vectors, Path(folder), given.graphs)
        for name, task in {
            f"{SINGLE} queries one by one": lambda search: one_by_one(search, queries[:SINGLE]),
            f"{BATCH} queries at once": lambda search: search(queries),
        }.items():
            tasks = {engine: partial(task, search) for engine, search in engines.items()}
            stem = f"{size[0]}-{name.split()[0]}"
            picture = given.chart and given.chart.with_stem(f"{given.chart.stem}-{stem}")
            times = race(f"{title}, {name}", tasks, given.rounds, picture)
            if name.endswith("one by one") and vectors.nbytes > CACHE:
                found = SINGLE * vectors.nbytes / 1e9 / statistics.median(times["xmir"])
                print(f"xmir reads {found:.1f} GB/s of the {reading(vectors):.1f} that can be read")


def cross(size: tuple[int, int], number: int) -> None:
    """Print what commands cost by exact search and by the graph, which is read first."""
    import pyarrow as pa

    vectors = unit_vectors(*size)
    names = [f"{row:08d}" for row in range(size[0])]
    embeddings = Embeddings(pa.table({"id": names, "path": names}), vectors, ModelSpec("-", "-"))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        place = Path(folder) / "graph.xmir"
        build_gallery(embeddings, place, "hnsw", SETTINGS)

        def command(count: int, from_size: int) -> Ids:
            nearest.GRAPH_FROM = from_size
            gallery = open_gallery(str(place))
            asked = [Question("", query, {}) for query in vectors[:: size[0] // count][:count]]
            parts = [asked[start : start + 256] for start in range(0, count, 256)]
            return np.array([hits.keys for part in parts for hits in gallery.search(part, K)])

        for count in COMMANDS:
            ways = {"exact": vectors.size + 1, "graph": 0}
            times = rounds(
                {way: partial(command, count, least) for way, least in ways.items()}, number
            )
            table(f"{size[0]} x {size[1]}, {count} queries in a command", times, "exact", {})


def main() -> None:
    """Print a table for every size, single and in a batch."""
    given = arguments(
        __doc__.split("\n")[0],
        large="a million vectors, too (7 GB of memory)",
        graphs="HNSW, too, whose building takes minutes",
        crossing="only from which size on a graph is the faster way",
    )
    if given.crossing:
        for size in QUICK if given.quick else CROSSING:
            cross(size, given.rounds)
        return
    need(faiss="pip install faiss-cpu")
    for size in QUICK if given.quick else [*SIZES, *(LARGE if given.large else [])]:
        measure(size, given)


if __name__ == "__main__":
    main()
