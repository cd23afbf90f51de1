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
    Manifest,
    describe,
    pack_mean,
)
from xmir_cli.gallery.folder.verified import clock_of_writing, remember
from xmir_cli.gallery.protocol import GraphSettings, SearchKind
from xmir_cli.gallery.vectors import Vectors, mean_vector
from xmir_cli.store.arrays import write_blocks, write_through
from xmir_cli.store.atomic import atomic_folder
from xmir_cli.store.embedding_source import EmbeddingSource
from xmir_cli.store.features import KIND

_ROWS = 8192  # in memory at a time: a group of the items
_KIND = np.dtype(np.float32)
EXACT_BELOW = 1_000_000  # rows; up to there a graph takes longer to build than it ever saves


def build_gallery(
    source: EmbeddingSource, path: Path, kind: SearchKind | None, settings: GraphSettings
) -> Manifest:
    """Write the index of unit vectors; it is there whole or not at all. Kind None: by the rows.

    Of an index without a graph a block of rows is in memory at a time.
    """
    chosen: SearchKind = kind or ("exact" if source.rows < EXACT_BELOW else "hnsw")
    with atomic_folder(path) as folder:
        mean = _write_rows(source, folder)
        if maps := source.features:
            write_blocks(folder / FEATURES_FILE, (source.rows, *maps.shape), KIND, maps.blocks())
        recall = _build_graph(source, folder, settings) if chosen == "hnsw" else None
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
        )
        (folder / NAME).write_text(json.dumps(manifest.to_json(), indent=2) + "\n")
    remember(path, manifest, hashed)
    return manifest


def _write_rows(source: EmbeddingSource, folder: Path) -> Vectors:
    """Write items and vectors as they come, and return the mean of the vectors."""
    shape = source.rows, source.dim
    with items_writer(folder / ITEMS) as write:

        def vectors() -> Iterator[Vectors]:
            for block in source.blocks(_ROWS):
                write(block.items)
                yield block.vectors

        return mean_vector(write_through(folder / VECTORS, shape, _KIND, vectors()))


def _build_graph(source: EmbeddingSource, folder: Path, settings: GraphSettings) -> float:
    """Write the graph of the vectors in the folder; the recall of what can be read again."""
    # here, for exact indexes need no hnswlib
    from xmir_cli.gallery.folder.hnsw import (  # noqa: PLC0415
        build_graph,
        load_checked_graph,
        measure_recall,
        save_graph,
    )

    vectors = np.load(folder / VECTORS, mmap_mode="r")
    save_graph(build_graph(vectors, settings), folder / GRAPH)
    graph = load_checked_graph(folder / GRAPH, source.rows, source.dim, settings)
    return measure_recall(graph, vectors)
