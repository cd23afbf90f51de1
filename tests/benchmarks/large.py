"""Growth: every item asking, and rankings scored, for 10,000 to a million items.

    python tests/benchmarks/large.py [--wide] [--graphs] [--processor] [--commands]

Beside NumPy and faiss on the same vectors, in one run: the nearest items without those of the
query's own patient, and the numbers of a ranking by three labels. With --commands instead what the
commands take, and the most memory that they had.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from search import SETTINGS, Ids, agreement, by_faiss, unit_vectors
from timing import arguments, chart, difference, need, rounds, table

from xmir_cli.gallery.folder import nearest
from xmir_cli.gallery.folder.build import build_gallery
from xmir_cli.gallery.folder.engine import open_gallery
from xmir_cli.gallery.protocol import Conditions, Gallery
from xmir_cli.gallery.vectors import Vectors
from xmir_cli.metrics.ranking import Measures
from xmir_cli.metrics.relevance import LabelledVectors
from xmir_cli.metrics.retrieval import evaluate
from xmir_cli.retrieval.queries import Question
from xmir_cli.store.embeddings import Embeddings, write_embeddings
from xmir_cli.wire.model import ModelSpec

SIZES, QUICK = [10_000, 100_000, 1_000_000], [1000]
ASKED, RANKED, K, EACH = 512, 16, 5, 3  # queries of a block and of a ranking; images of a patient
FEW = 128  # queries whose similarities NumPy has in memory
FIRST = 20_000  # queries of 'query --all' after which it is stopped
LABELS = np.array(["normal", "pneumonia", "covid"])

Floats = NDArray[np.float64]


def patients(rows: int) -> NDArray[np.int64]:
    """Whose each of the images is; those of one do not lie together."""
    return np.random.default_rng(1).permutation(rows) // EACH


def make(rows: int, dim: int) -> Embeddings:
    """Images with labels, of patients."""
    import pyarrow as pa

    names = [f"images/{row:08d}.png" for row in range(rows)]
    labels = LABELS[np.random.default_rng(2).integers(0, 3, rows)]
    columns = {
        "id": names,
        "path": names,
        "sha256": [f"{row:064x}" for row in range(rows)],
        "width": pa.array([1024] * rows, pa.int32()),
        "height": pa.array([1024] * rows, pa.int32()),
        "label": labels.tolist(),
        "patient": [f"p{number}" for number in patients(rows)],
    }
    return Embeddings(pa.table(columns), unit_vectors(rows, dim), ModelSpec("-", "-"))


def by_xmir(gallery: Gallery, rows: range) -> Ids:
    """As 'query --all --exclude-same patient' asks, a block of items."""
    columns = gallery.columns_of(rows)
    asked = [
        Question("", vector, own, own["sha256"])
        for vector, own in zip(gallery.vectors_of(rows), columns, strict=True)
    ]
    conditions = Conditions(not_itself=True, not_same=("patient",))
    return np.array([hits.keys for hits in gallery.search(asked, K, conditions)])


def by_numpy(vectors: Vectors, own: NDArray[np.int64], rows: range) -> Ids:
    """What a notebook does: a product, -inf for the patient's, a partial sort."""
    found = []
    for start in range(rows.start, rows.stop, FEW):
        part = slice(start, min(start + FEW, rows.stop))
        similarities = vectors[part] @ vectors.T
        similarities[own[part, None] == own] = -np.inf
        near = np.argpartition(-similarities, K, axis=1)[:, :K]
        order = np.argsort(-np.take_along_axis(similarities, near, axis=1), axis=1)
        found.append(np.take_along_axis(near, order, axis=1))
    return np.concatenate(found)


def by_others(
    search: Callable[[Vectors], Ids], vectors: Vectors, own: NDArray[np.int64], rows: range
) -> Ids:
    """More are asked for, and the patient's left out: ten are five and a patient's three."""
    near = search(vectors[rows.start : rows.stop])
    left = own[near] != own[rows.start : rows.stop, None]
    order = np.argsort(~left, axis=1, kind="stable")[:, :K]
    return np.take_along_axis(near, order, axis=1)


def rank_by_numpy(vectors: Vectors, labels: NDArray[np.str_], rows: NDArray[np.int64]) -> Floats:
    """Average precision and R-precision of each query by sorting everything, as is usual."""
    found = []
    for row in rows:
        similarities = vectors @ vectors[row]
        order = np.argsort(-similarities)
        hits = labels[order[order != row]] == labels[row]
        places = np.flatnonzero(hits)
        precisions = np.arange(1, len(places) + 1) / (places + 1)
        found.append((precisions.mean(), hits[: len(places)].mean()))
    return np.array(found)


def rank_by_xmir(images: LabelledVectors, rows: NDArray[np.int64]) -> Floats:
    """The same, among all other numbers, as 'retrieval-metric --sample' does."""
    labels = [images.labels[row] for row in rows]
    queries = LabelledVectors(images.vectors[rows], labels, [None] * len(rows))
    scores = evaluate(queries, images, rows, Measures((1, 5, 10))).scores
    return scores.values[:, [0, scores.names.index("r_precision")]]


def measure(rows: int, dim: int, given: argparse.Namespace, folder: Path) -> None:
    """Both tasks on one size."""
    embeddings, title = make(rows, dim), f"{rows} x {dim}"
    vectors, own = embeddings.vectors, patients(rows)
    build_gallery(embeddings, folder / "exact.xmir", "exact", SETTINGS)
    asked = range(rows // 3, rows // 3 + min(ASKED, rows // 4))
    ways: dict[str, Callable[[], Ids]] = {
        "numpy": partial(by_numpy, vectors, own, asked),
        "xmir": partial(by_xmir, open_gallery(str(folder / "exact.xmir")), asked),
        "faiss Flat": partial(by_others, by_faiss(vectors, graph=False), vectors, own, asked),
    }
    if given.graphs:
        nearest.GRAPH_FROM = 0  # however small it is
        start = time.perf_counter()
        build_gallery(embeddings, folder / "graph.xmir", "hnsw", SETTINGS)
        print(f"\n{title}: graph built in {time.perf_counter() - start:.0f} s")
        graph = open_gallery(str(folder / "graph.xmir"))
        ways["xmir HNSW"] = partial(by_xmir, graph, asked)
        by_graph = by_faiss(vectors, graph=True)
        ways["faiss HNSW"] = partial(by_others, by_graph, vectors, own, asked)
    ways["xmir"]()  # the ninth time a column is asked for it is sorted
    clock = time.process_time if given.processor else time.perf_counter
    times = rounds(ways, given.rounds, clock)
    truth = times.results["numpy"]
    notes = {name: agreement(ids, truth) for name, ids in times.results.items()}
    name = f"{title}, {len(asked)} of all ask without their patient"
    table(name, times, "faiss Flat", notes)
    if given.chart:
        chart(given.chart.with_stem(f"{given.chart.stem}-{rows}"), name, times, "faiss Flat")
    labels = np.array(embeddings.items["label"].to_pylist())
    images = LabelledVectors(vectors, labels.tolist(), [None] * rows)
    chosen = np.sort(np.random.default_rng(0).permutation(rows)[:RANKED])
    tasks = {
        "numpy": partial(rank_by_numpy, vectors, labels, chosen),
        "xmir": partial(rank_by_xmir, images, chosen),
    }
    scored = rounds(tasks, given.rounds, clock)
    apart = difference(scored.results["xmir"], scored.results["numpy"])
    told = {"xmir": f"off by {apart:.1e}"}
    table(f"{title}, {RANKED} rankings scored by three labels", scored, "numpy", told)


def command(arguments: list[str], lines: int | None = None) -> tuple[float, float, float, int]:
    """Seconds, those of a processor, the most megabytes and the lines of a command.

    After so many lines, if told, it is stopped.
    """
    start, count = time.perf_counter(), 0
    shell = [sys.executable, "-m", "xmir_cli", *arguments]
    with subprocess.Popen(shell, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in process.stdout:
            count += 1
            if count == lines:
                break
        seconds = time.perf_counter() - start
        process.stdout.close()
        _, _, used = os.wait4(process.pid, 0)
        process.returncode = 0
    return seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, count


def measure_commands(rows: int, dim: int, folder: Path) -> None:
    """What both commands take."""
    embeddings, index = folder / "e.parquet", folder / "exact.xmir"
    write_embeddings(embeddings, make(rows, dim))
    command(["index", str(embeddings), "-o", str(index), "--kind", "exact", "--force"])
    tasks = {
        f"retrieval-metric --sample 1000, {rows} x {dim}": (
            ["retrieval-metric", str(embeddings), "--sample", "1000", "--format", "jsonl"],
            None,
        ),
        f"query --all --exclude-same patient, {rows} x {dim}": (
            ["query", "-i", str(index), "--all", "--exclude-same", "patient", "--format", "jsonl"],
            FIRST * K,
        ),
    }
    for name, (arguments_of, lines) in tasks.items():
        seconds, processor, most, count = command(arguments_of, lines)
        print(f"{name}: {seconds:.1f} s, {processor:.1f} s of a processor, {most:.0f} MB", end="")
        print(f", {count} records", flush=True)


def main() -> None:
    """Print tables for every size."""
    given = arguments(
        __doc__.split("\n")[0],
        number=3,
        wide="vectors of 256 numbers, not 64",
        graphs="HNSW, too, whose building takes minutes",
        commands="the commands and their memory",
        processor="seconds of a processor, for a machine with other work",
    )
    dim = 256 if given.wide else 64
    if not given.commands:
        need(faiss="pip install faiss-cpu")
    for rows in QUICK if given.quick else SIZES:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["XDG_CACHE_HOME"] = folder
            if given.commands:
                measure_commands(rows, dim, Path(folder))
            else:
                measure(rows, dim, given, Path(folder))


if __name__ == "__main__":
    main()
