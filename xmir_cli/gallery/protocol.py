"""A gallery as commands and explanations see it: searched, looked up, read through.

What keeps the items is an engine. It knows each of them by a key of its own, which whoever gets it
may compare, keep and hand back, and which means nothing else. Two keys of one opened gallery are
equal if they are of one item; another gallery's keys mean nothing to it.

Items have an order, that of `iterate`. No value, None or the empty text, is never the same as
another.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xmir_cli.arrays import Floats
from xmir_cli.gallery.vectors import Vectors
from xmir_cli.pictures.identity import identity_of
from xmir_cli.store.where import Condition
from xmir_cli.wire.model import ModelSpec

ItemKey = Hashable
SearchKind = Literal["exact", "hnsw"]
Store = Literal["float32", "float16"]  # as which the numbers of vectors are kept
Columns = Mapping[str, object]  # of one image: id, path, sha256, width, height, label, patient ...


class SearchQuery(Protocol):
    """What is asked with: its unit vector, and what is known of it."""

    @property
    def vector(self) -> Vectors:
        """The unit vector [D]."""

    @property
    def columns(self) -> Columns:
        """Those values that are known, under the names of the items' columns."""

    @property
    def identity(self) -> str | None:
        """Which image it is, where it is one."""


@dataclass(frozen=True)
class Conditions:
    """What an item must be to be found. But in `where`, values are compared as texts."""

    where: tuple[Condition, ...] = ()  # all of them hold
    other_labels: str = ""  # has a label, and none of these; labels are as labels.py says
    not_itself: bool = False  # has neither the query's id nor its path nor its identity
    not_same: tuple[
        str, ...
    ] = ()  # columns in which it has not the query's value, or a label of it
    at_most: tuple[str, int] | None = None  # column, count: so many of each value (or label)
    without: frozenset[ItemKey] = frozenset()  # is none of these


EVERYTHING = Conditions()


@dataclass(frozen=True)
class Hits:
    """The nearest items of one query, best first."""

    keys: Sequence[ItemKey]
    similarities: Floats
    distances: Floats | None = None  # by which they were put in another order, the least first


@dataclass(frozen=True)
class Chunk:
    """Items that follow each other."""

    keys: Sequence[ItemKey]
    vectors: Vectors  # [n, D]
    columns: pa.Table  # [n]


@dataclass(frozen=True)
class GraphSettings:
    """How the graph is built and searched."""

    m: int = 16  # links of a node
    ef_construction: int = 200  # candidates kept while building
    ef: int = 64  # candidates kept while searching
    seed: int = 0


@dataclass(frozen=True)
class Spread:
    """How an index is laid out over the machines of a server; None leaves it to the server."""

    shards: int | None = None  # parts of the items, each on a machine
    replicas: int | None = None  # copies of each part


@dataclass(frozen=True)
class Build:
    """How an index is built."""

    kind: SearchKind | None = None  # None: the engine chooses
    graph: GraphSettings = GraphSettings()
    spread: Spread = Spread()
    store: Store = "float32"
    whiten: int | None = None  # numbers of a vector once they are whitened; None: as they are
    threads: int = 1  # that build a graph here; what one builds is always the same
    force: bool = False  # whether it may replace another one


@dataclass(frozen=True)
class Built:
    """An index that was built."""

    rows: int
    dim: int
    sha256: str  # of what the index says of itself
    recall_at_10: float | None  # of a graph against exact search


class Gallery(Protocol):
    """An opened index of images that were embedded by one model."""

    @property
    def name(self) -> str:
        """What it was opened by, a path or a URL; without secrets, for it stands in records."""

    @property
    def digest(self) -> str:
        """Names the content: another one for other items, vectors or feature maps."""

    @property
    def model(self) -> ModelSpec:
        """What the images were embedded by."""

    @property
    def dim(self) -> int:
        """The length D of the vectors."""

    @property
    def column_names(self) -> Sequence[str]:
        """What is known of the items: id, path, sha256, width, height, and whatever else."""

    @property
    def has_features(self) -> bool:
        """Whether the items' last feature maps are kept."""

    @property
    def store(self) -> Store:
        """As which the numbers of the vectors are kept; similarities are exact for those."""

    @property
    def mean(self) -> Vectors:
        """The mean [D] of the vectors, bit for bit what `mean_vector` makes of them."""

    def __len__(self) -> int:
        """How many items there are."""

    def search(
        self,
        queries: Sequence[SearchQuery],
        k: int,
        conditions: Conditions = EVERYTHING,
        centered: bool = False,
    ) -> list[Hits]:
        """The k nearest items of each query, fewer where the conditions leave fewer.

        Args:
            queries: At least one.
            k: How many, at least 1.
            conditions: What an item must be; the columns they name are there.
            centered: Whether the items are compared by what `center_rows` leaves of their vectors
                without the `mean`; none of the nearest is missed then.

        Returns:
            One result for each query, the same to the last bit whatever else is asked in this call
            or others. An engine may miss a few of the nearest, always the same ones; then others
            are in their place: there are never fewer than k while there are more to find.
            Similarities are the `products` of the vectors as they are kept, in float64, within
            [-1, 1]; equal products fall in the order of the items. Vectors kept in
            float16 are not scaled again: their length is 1 within 2^-11, and so is their similarity
            to themselves.
        """

    def count(self, conditions: Conditions) -> int:
        """How many items are as the conditions say, but for those that only know of a query."""

    def distinct(self, column: str) -> pa.Array:
        """The values of a column, each once, in whatever order; None among them if one has none."""

    def by_id(self, ids: Sequence[str]) -> list[ItemKey | None]:
        """The item of each id, None for an unknown one. The empty text is no id, path, identity."""

    def by_path(self, paths: Sequence[str]) -> list[list[ItemKey]]:
        """The items of each path, in their order."""

    def by_identity(self, identities: Sequence[str]) -> list[list[ItemKey]]:
        """The items that are each image, in their order: copies of a file have one identity."""

    def vectors_of(self, keys: Sequence[ItemKey]) -> Vectors:
        """The unit vectors [n, D] of items as they are kept, in the order of the keys."""

    def columns_of(self, keys: Sequence[ItemKey]) -> list[Columns]:
        """All that is known of items, in the order of the keys."""

    def features_of(self, keys: Sequence[ItemKey]) -> NDArray[np.float16]:
        """The feature maps [n, C, h, w] of items, where they are kept."""

    def iterate(self, size: int, names: Sequence[str] | None = None) -> Iterator[Chunk]:
        """All items in their order, `size` at a time, with the columns `names` (None: all).

        The last chunk may be smaller. Whoever asks for all at once gets all at once; more vectors
        than a few are mapped from a file then, that of the engine or a nameless one.
        """


def identity_in(columns: Columns) -> str | None:
    """Which image an item is, by its path and its file's hash; None without a hash."""
    sha256, path = columns.get("sha256"), columns.get("path")
    return identity_of(str(sha256), str(path)) if sha256 else None
