"""The rows of embeddings that can be searched, and each id once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xmir_cli.arrays import Booleans, Integers
from xmir_cli.causes import Cause
from xmir_cli.errors import DataError, ItemError
from xmir_cli.gallery.texts import hash_texts
from xmir_cli.gallery.vectors import unit_rows
from xmir_cli.pictures.exclusion import Exclusion, NamedImage
from xmir_cli.pictures.identity import identity_of
from xmir_cli.store.embedding_source import EmbeddingSource, even_blocks
from xmir_cli.store.embedding_table import Embeddings, RowBlock
from xmir_cli.store.features import FeatureMaps
from xmir_cli.store.names import restore_name
from xmir_cli.wire.model import ModelSpec

_ROWS = 8192  # looked at together
_NAMED = ("id", "path", "sha256")  # columns that say which image a row is of


@dataclass(frozen=True)
class UsableRows:
    """The rows of embeddings that can be searched, at length 1; an `EmbeddingSource`."""

    source: EmbeddingSource
    usable: Booleans  # [N] of the rows there are
    rows: int

    @property
    def dim(self) -> int:
        """The length D of the vectors."""
        return self.source.dim

    @property
    def model(self) -> ModelSpec:
        """What made them."""
        return self.source.model

    @property
    def made(self) -> Mapping[str, str]:
        """Precision and the like."""
        return self.source.made

    @property
    def features(self) -> FeatureMaps | None:
        """The last feature maps."""
        maps = self.source.features
        return maps if maps is None or self.rows == len(self.usable) else maps.only(self.usable)

    def blocks(self, size: int, names: Sequence[str] | None = None) -> Iterator[RowBlock]:
        """The rows, as `EmbeddingSource` says."""
        return even_blocks(self._blocks(size, names), size)

    def _blocks(self, size: int, names: Sequence[str] | None) -> Iterator[RowBlock]:
        start = 0
        for items, vectors in self.source.blocks(size, names):
            usable = self.usable[start : start + len(vectors)]
            start += len(vectors)
            rows, _ = unit_rows(vectors)
            if usable.all():
                yield RowBlock(items, rows)
            elif usable.any():
                yield RowBlock(items.filter(pa.array(usable)), rows[usable])


def usable_rows(source: EmbeddingSource, leave_out: Callable[[str, ItemError], None]) -> UsableRows:
    """The rows that can be searched; `leave_out` is told of those that cannot.

    All rows are read once for it.

    Raises:
        DataError: Two rows have the same id, or no row is left; or as `source` does.
    """
    hashes, usable = np.empty(source.rows, np.int64), np.empty(source.rows, np.bool_)
    start = 0
    for items, vectors in source.blocks(_ROWS, ["id"]):
        rows = slice(start, start + len(vectors))
        hashes[rows], usable[rows] = hash_texts(items["id"]), unit_rows(vectors)[1]
        start += len(vectors)
    _refuse_twice(source, hashes)
    count = int(usable.sum())
    if not count:
        raise DataError(f"no usable rows among {len(usable)}; nothing was written")
    if count < len(usable):
        _leave_out(source, usable, leave_out)
    return UsableRows(source, usable, count)


def exclude_rows(rows: UsableRows, exclusion: Exclusion) -> UsableRows:
    """The rows but those that are to be left out; says how many those are.

    Raises DataError where none is left.
    """
    left = exclusion.choose(_find_named(rows, exclusion), rows.rows)
    usable = rows.usable.copy()
    usable[list(left)] = False
    return UsableRows(rows.source, usable, int(usable.sum()))


def keep_named(items: pa.Table, exclusion: Exclusion) -> Booleans:
    """Which rows [N] of a table of images stay; as `exclude_rows` otherwise."""
    kept = np.ones(len(items), dtype=np.bool_)
    kept[list(exclusion.choose(_named(items, 0, exclusion), len(items)))] = False
    return kept


def _find_named(rows: UsableRows, exclusion: Exclusion) -> Iterator[NamedImage]:
    """The usable rows that may have to be left out."""
    start = 0
    for items, vectors in rows.source.blocks(_ROWS, list(_NAMED)):
        for image in _named(items, start, exclusion):
            if rows.usable[image.place]:
                yield image
        start += len(vectors)


def _named(items: pa.Table, start: int, exclusion: Exclusion) -> Iterator[NamedImage]:
    """The images of a table, counted from `start`, that may have to be left out."""
    columns = (items[each].to_pylist() for each in _NAMED)
    for row, (name, place, sha256) in enumerate(zip(*columns, strict=True), start):
        path = restore_name(place)
        identity = identity_of(sha256, path) if sha256 else None
        if exclusion.may_have(name, path, identity):
            yield NamedImage(row, name, path, identity)


def keep_usable(embeddings: Embeddings, leave_out: Callable[[str, ItemError], None]) -> Embeddings:
    """The same of embeddings in memory."""
    found = usable_rows(embeddings, leave_out)
    vectors, usable = unit_rows(embeddings.vectors)
    if usable.all():
        return replace(embeddings, vectors=vectors)
    items = embeddings.items.filter(pa.array(usable))
    return replace(embeddings, items=items, vectors=vectors[usable], features=found.features)


def _leave_out(
    source: EmbeddingSource, usable: Booleans, leave_out: Callable[[str, ItemError], None]
) -> None:
    start = 0
    for items, vectors in source.blocks(_ROWS, ["id"]):
        for row in np.flatnonzero(~usable[start : start + len(vectors)]).tolist():
            error = ItemError(Cause.BAD_VECTOR, f"row {start + row} is zero, NaN or infinite")
            leave_out(str(items["id"][row].as_py()), error)
        start += len(vectors)


def _refuse_twice(source: EmbeddingSource, hashes: Integers) -> None:
    """Raise DataError for rows with the same id; `hashes` [N] tell which may be, and are sorted."""
    hashes.sort()
    twice = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
    if not len(twice):
        return
    names = []
    for items, _ in source.blocks(_ROWS, ["id"]):
        maybe = np.isin(hash_texts(items["id"]), twice)
        names.append(items["id"].filter(pa.array(maybe)))
    counts = pc.value_counts(pa.chunked_array([chunk for name in names for chunk in name.chunks]))
    more = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(more):
        first = more[0]["values"].as_py()
        raise DataError(f"id {first!r}: {len(more)} ids are there more than once")
