"""An index: the folder NAME.xmir with the gallery's vectors, items and, for HNSW, its graph."""

import json
import time
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa

from xmir_cli.errors import DataError, is_starved
from xmir_cli.gallery.folder import exact
from xmir_cli.gallery.folder.exact import Hits, Scope, Vectors, unit_rows
from xmir_cli.gallery.folder.items import Items, write_items
from xmir_cli.gallery.folder.manifest import (
    AGAIN,
    FEATURES,
    NAME,
    GraphSettings,
    Kind,
    Manifest,
    describe,
    read_manifest,
)
from xmir_cli.gallery.folder.verified import remember, verify_once
from xmir_cli.records import Record
from xmir_cli.store.arrays import write_array, write_blocks
from xmir_cli.store.atomic import atomic_folder
from xmir_cli.store.embeddings import Embeddings
from xmir_cli.store.features import KIND

EXACT_BELOW = 1_000_000  # rows; up to there a graph takes longer to build than it ever saves
# queries of one command from which a graph repays being read and checked, whatever the size of the
# gallery: that costs as much as 80 to 250 queries by exact search (tests/benchmarks/search.py)
GRAPH_PAYS = 256
_VECTORS, _ITEMS, _GRAPH = "vectors.npy", "items.parquet", "graph.hnsw"


class Searcher(Protocol):
    """A faster way to the nearest of a gallery's vectors."""

    def search(self, vectors: Vectors, queries: Vectors, k: int) -> list[Hits]:
        """The k nearest items of each query [B, D]; k is at most half of the gallery."""


@dataclass(frozen=True)
class Gallery:
    """An opened index: unit vectors [N, D] mapped from the disk, and their items [N]."""

    path: str
    manifest: Manifest
    vectors: Vectors
    items: Items
    queries: int = 1  # that it is opened for, which decides whether the graph is worth reading

    @cached_property
    def graph(self) -> Searcher | None:
        """A faster way for many queries, when the index has one."""
        return _open_graph(Path(self.path), self.manifest)

    @cached_property
    def features(self) -> np.ndarray | None:
        """The items' last feature maps [N, C, h, w] float16, mapped, where the index has them."""
        if FEATURES not in self.manifest.files:
            return None
        maps = _map(verify_once(Path(self.path), FEATURES, self.manifest))
        if maps.dtype != KIND or maps.ndim != 4 or len(maps) != self.manifest.rows:
            raise DataError(f"{self.path}: damaged index (sizes differ)", AGAIN)
        return maps

    @cached_property
    def model(self) -> Record:
        """The model as records carry it."""
        return self.manifest.model.to_json()

    def search(self, queries: Vectors, k: int, scope: Scope) -> list[Hits]:
        """The k nearest items of each query [B, D], fewer where the scope leaves fewer."""
        narrowed = scope.allowed is not None or any(len(items) for items in scope.excluded)
        few = self.queries < GRAPH_PAYS
        if few or narrowed or k > len(self.vectors) // 2 or self.graph is None:
            return exact.search(self.vectors, queries, k, scope)
        return self.graph.search(self.vectors, queries, k)


def build_gallery(
    embeddings: Embeddings, path: Path, kind: Kind | None, settings: GraphSettings
) -> Manifest:
    """Write the index of unit vectors; it is there whole or not at all. Kind None: by the rows."""
    rows = len(embeddings.vectors)
    chosen: Kind = kind or ("exact" if rows < EXACT_BELOW else "hnsw")
    with atomic_folder(path) as folder:
        write_array(folder / _VECTORS, embeddings.vectors)
        write_items(folder / _ITEMS, embeddings.items)
        if maps := embeddings.features:
            write_blocks(folder / FEATURES, (rows, *maps.shape), KIND, maps.blocks())
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
        )
        (folder / NAME).write_text(json.dumps(manifest.to_json(), indent=2) + "\n")
    remember(path, manifest, hashed)
    return manifest


def open_gallery(path: str, weights: str | None = None) -> Gallery:
    """Open an index, its model's weights lying elsewhere if `weights` says so.

    Raises DataError when any of its bytes are not those that were written, as far as the times of
    its files tell; the graph's when it is opened.
    """
    folder = Path(path)
    manifest = read_manifest(folder)
    places = [verify_once(folder, name, manifest) for name in (_VECTORS, _ITEMS)]
    vectors = _map(places[0])
    items = Items(places[1])
    found = (vectors.dtype, *vectors.shape, len(items))
    if found != (np.float32, manifest.rows, manifest.dim, manifest.rows):
        raise DataError(f"{path}: damaged index (sizes differ)", AGAIN)
    if weights is not None:  # the loader checks that they are the same
        manifest = replace(manifest, model=replace(manifest.model, weights=weights))
    return Gallery(path, manifest, vectors, items)


def _map(path: Path) -> np.ndarray:
    """The array in a file, mapped from the disk."""
    try:
        array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (EOFError, OSError, ValueError) as error:
        if is_starved(error):
            raise MemoryError from None
        raise DataError(f"{path.parent}: damaged index (not to be read)", AGAIN) from None
    return array


def usable(embeddings: Embeddings) -> tuple[Embeddings, list[int]]:
    """The rows that can be searched, at length 1, and those left out (zero, NaN or infinite).

    Raises:
        DataError: Two rows have the same id, or no row is left.
    """
    names = embeddings.items["id"].to_pylist()
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"id {twice[0]!r}: {len(twice)} ids are there more than once")
    vectors, fine = unit_rows(embeddings.vectors)
    if not fine.any():
        raise DataError(f"no usable rows among {len(fine)}; nothing was written")
    if fine.all():
        return replace(embeddings, vectors=vectors), []
    items = embeddings.items.filter(pa.array(fine))
    maps = embeddings.features and embeddings.features.only(fine)
    kept = replace(embeddings, items=items, vectors=vectors[fine], features=maps)
    return kept, np.flatnonzero(~fine).tolist()


def _build_graph(embeddings: Embeddings, folder: Path, settings: GraphSettings) -> float:
    """Write the graph and measure the recall of what can be read again."""
    # here, for exact indexes need no hnswlib
    from xmir_cli.gallery.folder.hnsw import build, load, recall, save  # noqa: PLC0415

    save(build(embeddings.vectors, settings), folder / _GRAPH)
    rows, dim = embeddings.vectors.shape
    return recall(load(folder / _GRAPH, rows, dim, settings), embeddings.vectors)


def _open_graph(folder: Path, manifest: Manifest) -> Searcher | None:
    if manifest.settings is None:
        return None
    from xmir_cli.gallery.folder.hnsw import load  # noqa: PLC0415

    path = verify_once(folder, _GRAPH, manifest)
    return load(path, manifest.rows, manifest.dim, manifest.settings)
