"""An index: the folder NAME.xmir with the gallery's vectors, items and, for HNSW, its graph."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from xmir_cli.errors import DataError, is_starved
from xmir_cli.gallery.folder import exact
from xmir_cli.gallery.folder.exact import Hits, Scope
from xmir_cli.gallery.folder.items import Items
from xmir_cli.gallery.folder.manifest import (
    AGAIN,
    FEATURES,
    GRAPH,
    ITEMS,
    VECTORS,
    Manifest,
    read_manifest,
)
from xmir_cli.gallery.folder.verified import verify_once
from xmir_cli.gallery.vectors import Vectors
from xmir_cli.records import Record
from xmir_cli.store.features import KIND

# queries of one command from which a graph repays being read and checked, whatever the size of the
# gallery: that costs as much as 80 to 250 queries by exact search (tests/benchmarks/search.py)
GRAPH_PAYS = 256


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


def open_gallery(path: str, weights: str | None = None) -> Gallery:
    """Open an index, its model's weights lying elsewhere if `weights` says so.

    Raises DataError when any of its bytes are not those that were written, as far as the times of
    its files tell; the graph's when it is opened.
    """
    folder = Path(path)
    manifest = read_manifest(folder)
    places = [verify_once(folder, name, manifest) for name in (VECTORS, ITEMS)]
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


def _open_graph(folder: Path, manifest: Manifest) -> Searcher | None:
    if manifest.settings is None:
        return None
    from xmir_cli.gallery.folder.hnsw import load  # noqa: PLC0415

    path = verify_once(folder, GRAPH, manifest)
    return load(path, manifest.rows, manifest.dim, manifest.settings)
