"""What an embeddings table looks like, in memory, in Parquet and in an Arrow stream."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from xmir_cli.errors import DataError
from xmir_cli.store.embedding_header import COLUMNS, EMBEDDING, Header, to_metadata
from xmir_cli.store.features import FEATURE_COLUMN, FeatureMaps, column_of
from xmir_cli.store.rewritten import note_dropped, to_contract
from xmir_cli.wire.model import ModelSpec

SUM = b"xmir.sha256"  # where a batch of a stream has its checksum
_FILLED = ("id", "path", "sha256", "width", "height")


class RowBlock(NamedTuple):
    """Some of the rows of embeddings, which follow each other."""

    items: pa.Table  # [n]
    vectors: np.ndarray  # [n, D] float32


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Images and their vectors in memory: row i of one belongs to row i of the other.

    They are an `EmbeddingSource`, too.
    """

    items: pa.Table  # id path sha256 width height label patient split and the manifest's columns
    vectors: np.ndarray  # [N, D] float32, C-contiguous
    model: ModelSpec
    made: Mapping[str, str] = field(default_factory=dict)  # precision and the like, as metadata
    features: FeatureMaps | None = None  # the last feature maps, for a table that has them

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self.vectors)

    @property
    def dim(self) -> int:
        """The length D of the vectors."""
        return int(self.vectors.shape[1])

    def blocks(self, size: int, names: Sequence[str] | None = None) -> Iterator[RowBlock]:
        """All rows, `size` at a time; the last block may be smaller."""
        items = self.items if names is None else self.items.select(list(names))
        for start in range(0, max(1, self.rows), size):
            yield RowBlock(items.slice(start, size), self.vectors[start : start + size])


def to_table(embeddings: Embeddings) -> pa.Table:
    """Items and vectors as one table with the metadata of the contract."""
    table = embeddings.items.append_column(*column_of_vectors(embeddings.vectors))
    return table.replace_schema_metadata(to_metadata(replace(header_of(embeddings), features=None)))


def column_of_vectors(vectors: np.ndarray) -> tuple[pa.Field, pa.Array]:
    """Vectors [n, D] as the column of a table."""
    kind = pa.list_(pa.field("item", pa.float32(), nullable=False), vectors.shape[1])
    values = pa.array(np.ascontiguousarray(vectors, np.float32).reshape(-1))
    column = pa.FixedSizeListArray.from_arrays(values, type=kind)
    return pa.field(EMBEDDING, kind, nullable=False), column


def header_of(embeddings: Embeddings) -> Header:
    """What a table of these embeddings promises."""
    rows, dim = embeddings.vectors.shape
    features = None if embeddings.features is None else embeddings.features.shape
    return Header(rows, dim, embeddings.model, embeddings.made, features)


def to_tables(embeddings: Embeddings) -> Iterator[pa.Table]:
    """The same in pieces that memory can hold: with feature maps a block of them at a time."""
    table = to_table(embeddings)
    if embeddings.features is None:
        yield table
        return
    start = 0
    for block in embeddings.features.blocks():
        yield table.slice(start, len(block)).append_column(*column_of(block))
        start += len(block)


def hash_batch(batch: pa.RecordBatch) -> str:
    """The checksum of a batch of a stream: of its columns' names and types and all their values."""
    columns = [(field.name, str(field.type)) for field in batch.schema]
    total = hashlib.sha256(json.dumps(columns).encode())
    total.update(batch.serialize())
    return total.hexdigest()


def check_items(
    where: str, items: pa.Table, count_more: Callable[[str], int] = lambda _: 0
) -> pa.Table:
    """The items in the types of the contract.

    Raises DataError for items without id, path, hash or size, or with damaged text. `count_more`
    tells of a column how many of the rows that are yet to be read have nothing in it.
    """
    items.validate(full=True)
    for name in _FILLED:
        if name in items.column_names and items[name].null_count:
            without = items[name].null_count + count_more(name)
            raise DataError(f"{where}: column {name}: {without} rows have none")
    return to_contract(items.replace_schema_metadata(None), COLUMNS)


def items_schema(where: str, schema: pa.Schema, features: bool) -> pa.Schema:
    """The columns of the items once they have been read; says which of a file's are left out.

    `features`: the column of feature maps is one of those.
    """
    own = {EMBEDDING, FEATURE_COLUMN} if features else {EMBEDDING}
    given = pa.schema([field for field in schema if field.name not in own])
    note_dropped(where, given, COLUMNS)
    return to_contract(given.empty_table(), COLUMNS).schema
