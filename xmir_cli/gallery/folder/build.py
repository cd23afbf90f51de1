"""Building an index folder: whole or not at all."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from xmir_cli.gallery.folder.items import items_writer
from xmir_cli.gallery.folder.manifest import (
    FEATURES_FILE,
    GRAPH,
    ITEMS,
    NAME,
    VECTORS,
    WHITENING,
    Manifest,
    describe,
    pack_mean,
)
from xmir_cli.gallery.folder.rows import as_rows
from xmir_cli.gallery.folder.verified import clock_of_writing, remember
from xmir_cli.gallery.protocol import Build, GraphSettings, SearchKind, Store
from xmir_cli.gallery.vectors import Vectors, mean_vector
from xmir_cli.gallery.whitening import WhitenedRows, fit_whitening
from xmir_cli.store.arrays import write_blocks, write_through
from xmir_cli.store.atomic import atomic_folder
from xmir_cli.store.embedding_source import EmbeddingSource
from xmir_cli.store.features import KIND

_ROWS = 8192  # in memory at a time: a group of the items
_ALONE = 10_000  # rows of a graph below which one thread builds it: it takes a second or two


def build_gallery(
    source: EmbeddingSource, path: Path, kind: SearchKind | None, settings: GraphSettings
) -> Manifest:
    """As `write_gallery`, by one thread."""
    return write_gallery(source, path, Build(kind, settings))


def write_gallery(source: EmbeddingSource, path: Path, build: Build) -> Manifest:
    """Write the index of unit vectors; it is there whole or not at all. Of no kind it is exact.

    For that is the faster one but for hundreds of queries a command, however many rows there are,
    and of it a block of rows is in memory at a time; a graph is in memory as a whole.
    """
    chosen: SearchKind = build.kind or "exact"
    settings, store = build.graph, build.store
    threads = build.threads if chosen == "hnsw" and source.rows >= _ALONE else 1
    fitted = None if build.whiten is None else fit_whitening(source, build.whiten)
    if fitted is not None:
        source = WhitenedRows(source, fitted.whitener)
    with atomic_folder(path) as folder:
        if fitted is not None:
            whitening = fitted.whitener.packed()
            write_blocks(folder / WHITENING, whitening.shape, whitening.dtype, [whitening])
        mean = _write_rows(source, folder, store)
        if maps := source.features:
            write_blocks(folder / FEATURES_FILE, (source.rows, *maps.shape), KIND, maps.blocks())
        recall = _build_graph(folder, settings, threads) if chosen == "hnsw" else None
        hashed = clock_of_writing()
        manifest = Manifest(
            kind=chosen,
            rows=source.rows,
            dim=source.dim,
            model=source.model,
            files={file.name: describe(file) for file in sorted(folder.iterdir())},
            settings=settings if chosen == "hnsw" else None,
            recall_at_10=recall,
            mean=pack_mean(mean),
            store=store,
            threads=threads,
            whitening=None if fitted is None else fitted.told,
        )
        (folder / NAME).write_text(json.dumps(manifest.to_json(), indent=2) + "\n")
    remember(path, manifest, hashed)
    return manifest


def _write_rows(source: EmbeddingSource, folder: Path, store: Store) -> Vectors:
    """Write items and vectors as they come, and return the mean of the vectors as they are kept."""
    shape = source.rows, source.dim
    with items_writer(folder / ITEMS) as write:

        def vectors() -> Iterator[Vectors]:
            for block in source.blocks(_ROWS):
                write(block.items)
                yield block.vectors

        kept = write_through(folder / VECTORS, shape, np.dtype(store), vectors())
        return mean_vector(block.astype(np.float32, copy=False) for block in kept)


def _build_graph(folder: Path, settings: GraphSettings, threads: int) -> float:
    """Write the graph of the vectors in the folder; the recall of what can be read again."""
    # here, for exact indexes need no hnswlib
    from xmir_cli.gallery.folder.hnsw import (  # noqa: PLC0415
        build_graph,
        load_checked_graph,
        measure_recall,
        save_graph,
    )

    vectors = as_rows(np.load(folder / VECTORS, mmap_mode="r"))
    save_graph(build_graph(vectors, settings, threads), folder / GRAPH)
    rows, dim = vectors.shape
    return measure_recall(load_checked_graph(folder / GRAPH, rows, dim, settings), vectors)
