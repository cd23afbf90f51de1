"""Building an index folder: whole or not at all."""

import json
import time
from pathlib import Path

from xmir_cli.gallery.folder.items import write_items
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
from xmir_cli.gallery.folder.verified import remember
from xmir_cli.gallery.protocol import GraphSettings, SearchKind
from xmir_cli.gallery.vectors import mean_vector
from xmir_cli.store.arrays import write_array, write_blocks
from xmir_cli.store.atomic import atomic_folder
from xmir_cli.store.embedding_table import Embeddings
from xmir_cli.store.features import KIND

EXACT_BELOW = 1_000_000  # rows; up to there a graph takes longer to build than it ever saves


def build_gallery(
    embeddings: Embeddings, path: Path, kind: SearchKind | None, settings: GraphSettings
) -> Manifest:
    """Write the index of unit vectors; it is there whole or not at all. Kind None: by the rows."""
    rows = len(embeddings.vectors)
    chosen: SearchKind = kind or ("exact" if rows < EXACT_BELOW else "hnsw")
    with atomic_folder(path) as folder:
        write_array(folder / VECTORS, embeddings.vectors)
        write_items(folder / ITEMS, embeddings.items)
        if maps := embeddings.features:
            write_blocks(folder / FEATURES_FILE, (rows, *maps.shape), KIND, maps.blocks())
        recall = _build_graph(embeddings, folder, settings) if chosen == "hnsw" else None
        hashed = time.time_ns()
        manifest = Manifest(
            kind=chosen,
            rows=rows,
            dim=embeddings.vectors.shape[1],
            model=embeddings.model,
            files={file.name: describe(file) for file in sorted(folder.iterdir())},
            settings=settings if chosen == "hnsw" else None,
            recall_at_10=recall,
            mean=pack_mean(mean_vector([embeddings.vectors])),
        )
        (folder / NAME).write_text(json.dumps(manifest.to_json(), indent=2) + "\n")
    remember(path, manifest, hashed)
    return manifest


def _build_graph(embeddings: Embeddings, folder: Path, settings: GraphSettings) -> float:
    """Write the graph and measure the recall of what can be read again."""
    # here, for exact indexes need no hnswlib
    from xmir_cli.gallery.folder.hnsw import (  # noqa: PLC0415
        build_graph,
        load_checked_graph,
        measure_recall,
        save_graph,
    )

    save_graph(build_graph(embeddings.vectors, settings), folder / GRAPH)
    rows, dim = embeddings.vectors.shape
    graph = load_checked_graph(folder / GRAPH, rows, dim, settings)
    return measure_recall(graph, embeddings.vectors)
