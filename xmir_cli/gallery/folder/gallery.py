"""The gallery of an index folder, mapped from the disk; its keys are the numbers of rows."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from xmir_cli.arrays import clip_cosines
from xmir_cli.errors import DataError, is_starved
from xmir_cli.gallery.folder.conditions import Selection, exclude, rows_of, select
from xmir_cli.gallery.folder.exact import Neighbours, Scope
from xmir_cli.gallery.folder.images import Images
from xmir_cli.gallery.folder.items import Items
from xmir_cli.gallery.folder.manifest import (
    AGAIN,
    FEATURES_FILE,
    GRAPH,
    WHITENING,
    Manifest,
    unpack_mean,
)
from xmir_cli.gallery.folder.nearest import Searcher, find_nearest, is_for_graphs
from xmir_cli.gallery.folder.opening import OpenIndex
from xmir_cli.gallery.folder.rows import CenteredRows, Rows
from xmir_cli.gallery.protocol import (
    EVERYTHING,
    Chunk,
    Columns,
    Conditions,
    Hits,
    ItemKey,
    SearchQuery,
    Store,
)
from xmir_cli.gallery.vectors import Vectors, mean_vector
from xmir_cli.store.features import KIND
from xmir_cli.store.kept_vectors import gather_vectors
from xmir_cli.wire.model import ModelSpec, Whitening

_ROWS = 8192  # read at a time
_SELECTIONS = 4  # that are held, of a byte a row


@dataclass(frozen=True)
class FolderGallery:
    """An opened index: unit vectors [N, D] mapped from the disk, and their items [N]."""

    name: str
    manifest: Manifest
    vectors: Rows
    items: Items
    opened: OpenIndex

    @cached_property
    def digest(self) -> str:
        """Names the files and their content."""
        files = sorted(self.manifest.files.items())
        return hashlib.sha256(json.dumps(files).encode()).hexdigest()

    @cached_property
    def model(self) -> ModelSpec:
        """What the images were embedded by, and the whitening that lies here, if there is one."""
        model = self.manifest.model
        if self.manifest.whitening is None:
            return model
        place = str(Path(self.name).absolute() / WHITENING)
        return replace(model, whitening=Whitening(place, self.manifest.files[WHITENING][1]))

    @property
    def dim(self) -> int:
        """The length D of the vectors."""
        return self.manifest.dim

    @property
    def column_names(self) -> Sequence[str]:
        """The columns of the items."""
        return self.items.column_names

    @property
    def has_features(self) -> bool:
        """Whether there is a file of feature maps."""
        return FEATURES_FILE in self.manifest.files

    @property
    def store(self) -> Store:
        """As which the numbers of the vectors are kept."""
        return self.manifest.store

    @cached_property
    def mean(self) -> Vectors:
        """As it was kept when the index was built; an earlier one is read through once for it."""
        kept = self.manifest.mean
        try:
            return (
                mean_vector(self._blocks(range(len(self))))
                if kept is None
                else unpack_mean(kept, self.dim)
            )
        except ValueError:
            raise DataError(f"{self.name}: damaged index (mean)", AGAIN) from None

    def __len__(self) -> int:
        return self.manifest.rows

    def search(
        self,
        queries: Sequence[SearchQuery],
        k: int,
        conditions: Conditions = EVERYTHING,
        centered: bool = False,
    ) -> list[Hits]:
        """The k nearest items, by the graph where there is one and the gallery is large."""
        vectors = np.stack([query.vector for query in queries])
        selection = self._select(conditions)
        excluded = exclude(self._images, conditions, queries)
        rows = CenteredRows(self.vectors, self.mean) if centered else self.vectors
        search = partial(self._nearest, rows, vectors, Scope(selection.allowed, excluded))
        everyone, most = range(len(queries)), selection.most
        found = search(everyone, k) if most is None else most.nearest(search, everyone, k)
        return [Hits(near.rows.tolist(), clip_cosines(near.similarities)) for near in found]

    def count(self, conditions: Conditions) -> int:
        """How many rows are as the conditions say that know of no query."""
        allowed = self._select(conditions).allowed
        return len(self) if allowed is None else int(allowed.sum())

    def distinct(self, column: str) -> pa.Array:
        """The values of a column, each once."""
        found = [pc.unique(part) for _, part in self.items.scan(column)]
        return pc.unique(pa.chunked_array(found))

    def by_id(self, ids: Sequence[str]) -> list[ItemKey | None]:
        """The row of each id."""
        found = self._images.rows_with("id", ids)
        return [int(rows[0]) if len(rows) else None for rows in found]

    def by_path(self, paths: Sequence[str]) -> list[list[ItemKey]]:
        """The rows of each path."""
        return [rows.tolist() for rows in self._images.rows_with("path", paths)]

    def by_identity(self, identities: Sequence[str]) -> list[list[ItemKey]]:
        """The rows that are each image."""
        return [rows.tolist() for rows in self._images.rows_of(identities)]

    def vectors_of(self, keys: Sequence[ItemKey]) -> Vectors:
        """The unit vectors [n, D] of rows."""
        return np.asarray(self.vectors[rows_of(keys)])

    def columns_of(self, keys: Sequence[ItemKey]) -> list[Columns]:
        """All that is known of rows."""
        found: list[Columns] = self.items.take(rows_of(keys)).to_pylist()
        return found

    def features_of(self, keys: Sequence[ItemKey]) -> NDArray[np.float16]:
        """The feature maps [n, C, h, w] of rows."""
        return np.asarray(self._features[rows_of(keys)])

    def iterate(self, size: int, names: Sequence[str] | None = None) -> Iterator[Chunk]:
        """All rows, `size` at a time."""
        start, wanted = (
            0,
            names if names or names is None else ["id"],
        )  # for no columns have no rows
        for columns in self.items.pieces(size, wanted):
            rows = range(start, start + len(columns))
            chosen = columns if names is None else columns.select(list(names))
            yield Chunk(rows, self._read(rows), chosen)
            start = rows.stop

    def _read(self, rows: range) -> Vectors:
        """Their vectors, mapped from the index where it keeps float32."""
        if isinstance(self.vectors, np.ndarray):
            return self.vectors[rows.start : rows.stop]
        return gather_vectors(self._blocks(rows), len(rows), self.dim)

    def _blocks(self, rows: range) -> Iterator[Vectors]:
        for start in range(rows.start, rows.stop, _ROWS):
            yield self.vectors[start : min(start + _ROWS, rows.stop)]

    def _nearest(
        self, rows: Rows, queries: Vectors, scope: Scope, asked: Sequence[int], k: int
    ) -> list[Neighbours]:
        """The k nearest rows of the queries `asked` [b] of [B, D]."""
        large = is_for_graphs(len(self), self.dim, k)
        graph = self.graph if large and rows is self.vectors else None
        return find_nearest(rows, graph, queries[asked], k, scope.of(asked))

    @cached_property
    def graph(self) -> Searcher | None:
        """A faster way, when the index has one."""
        settings = self.manifest.settings
        if settings is None:
            return None
        # here, for exact indexes need no hnswlib
        from xmir_cli.gallery.folder.hnsw import load_checked_graph  # noqa: PLC0415

        rows, dim = self.manifest.rows, self.manifest.dim
        return load_checked_graph(self.opened.find(GRAPH), rows, dim, settings)

    @cached_property
    def _features(self) -> NDArray[np.float16]:
        """The feature maps [N, C, h, w], mapped."""
        maps = map_array(self.opened.find(FEATURES_FILE), self.name)
        if maps.dtype != KIND or maps.ndim != 4 or len(maps) != self.manifest.rows:
            raise DataError(f"{self.name}: damaged index (sizes differ)", AGAIN)
        return maps

    @cached_property
    def _images(self) -> Images:
        return Images(self.items)

    @cached_property
    def _select(self) -> Callable[[Conditions], Selection]:
        return lru_cache(_SELECTIONS)(partial(select, self.items))


def map_array(path: Path, index: str) -> np.ndarray:
    """The array in a file of the index of that name, mapped from the disk."""
    try:
        array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (EOFError, OSError, ValueError) as error:
        if is_starved(error):
            raise MemoryError from None
        raise DataError(f"{index}: damaged index (not to be read)", AGAIN) from None
    return array
