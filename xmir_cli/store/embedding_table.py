"""What an embeddings table looks like, in memory, in Parquet and in an Arrow stream."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from xmir_cli import __version__, console
from xmir_cli.errors import DataError
from xmir_cli.store.features import (
    FEATURE_COLUMN,
    FeatureMaps,
    Shape,
    column_of,
    parse_shape,
    shape_text,
)
from xmir_cli.store.rewritten import find_columns, is_vectors, note_dropped, to_contract
from xmir_cli.store.seal import seal, unseal
from xmir_cli.store.shards import Shard, parse_shard
from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.strict import parse_json
from xmir_cli.workarounds.pyarrow import leave_pandas_out

leave_pandas_out()  # every command that reads or writes tables imports this file

EMBEDDINGS_SCHEMA = "xmir.embeddings/1"
EMBEDDING = "embedding"
SUMMED = "batches"  # in the metadata of a stream: which checksum each of its batches has
SUM = b"xmir.sha256"  # and where a batch has it
COLUMNS = {
    "id": pa.string(),
    "path": pa.string(),
    "sha256": pa.string(),
    "width": pa.int32(),
    "height": pa.int32(),
    "label": pa.string(),
    "patient": pa.string(),
    "split": pa.string(),
}
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


@dataclass(frozen=True)
class Header:
    """What the metadata and the schema of a table promise."""

    rows: int | None  # None where the metadata was lost
    dim: int | None  # None where only the vectors tell
    model: ModelSpec
    made: Mapping[str, str]
    features: Shape | None = None  # of the feature maps, where there are any
    summed: bool = False  # each batch of a stream has a checksum
    shard: Shard | None = None  # of a job that several processes share
    job: str = ""  # which one


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


def to_metadata(header: Header) -> dict[str, str]:
    """What a table says of itself, under a checksum."""
    told = {
        "schema": EMBEDDINGS_SCHEMA,
        "version": __version__,
        "model": json.dumps(header.model.to_json(), sort_keys=True),
        **header.made,
    }
    if header.features is not None:
        told["features"] = shape_text(header.features)
    if header.summed:
        told[SUMMED] = "sha256"
    if header.shard is not None:
        told |= {"shard": str(header.shard), "job": header.job}
    sealed = {**seal(told), "rows": str(header.rows)}
    return {f"xmir.{name}": text for name, text in sealed.items()}


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


def check_schema(
    where: str, schema: pa.Schema, vouched: ModelSpec | None = None, writer: str = ""
) -> Header:
    """What the table promises; raises DataError unless it is an embeddings table.

    Args:
        where: Its name.
        schema: Its schema, of which other programs may have changed types and lost metadata.
        vouched: The model that is said to have made it, where the metadata does not say it.
        writer: The program that wrote the file, when it is known.
    """
    metadata = {
        key.decode("utf-8", "replace").removeprefix("xmir."): value.decode("utf-8", "replace")
        for key, value in (schema.metadata or {}).items()
        if key.startswith(b"xmir.")
    }
    rows = metadata.pop("rows", None)  # it is compared with what there is
    metadata = _unseal(where, metadata, vouched is not None)
    told = metadata.pop("schema", None)
    if (told, vouched) == (None, None) or told not in {None, EMBEDDINGS_SCHEMA}:
        raise _no_embeddings(where, schema, writer)
    if len(set(schema.names)) < len(schema.names):
        raise DataError(f"{where}: two columns have the same name")
    find_columns(where, schema, COLUMNS)
    metadata.pop("version", None)
    model = metadata.pop("model", None)
    summed = metadata.pop(SUMMED, None) is not None
    shape = metadata.pop("features", None)
    shard, job = metadata.pop("shard", None), metadata.pop("job", "")
    if shape is not None and FEATURE_COLUMN not in schema.names:
        console.note(f"{where}: without its feature maps: there is no column {FEATURE_COLUMN}")
        shape = None
    try:
        spec = vouched if model is None else ModelSpec.from_json(parse_json(model), where)
        if spec is None:
            raise ValueError
        features = None if shape is None else parse_shape(shape)
        promised = None if rows is None and vouched else int(rows or "")
        part = None if shard is None else parse_shard(shard)
        return Header(promised, _dim(where, schema), spec, metadata, features, summed, part, job)
    except ValueError:
        raise DataError(f"{where}: damaged metadata") from None


def _unseal(where: str, metadata: Mapping[str, str], vouched: bool) -> dict[str, str]:
    """The metadata when it is whole; nothing where somebody vouches for what is lost of it."""
    try:
        return unseal(metadata)[0]
    except ValueError:
        if vouched:
            return {}
        raise DataError(
            f"{where}: damaged metadata (checksum)",
            "If another program has rewritten it, say by `model` or `architecture` what made it.",
        ) from None


def _no_embeddings(where: str, schema: pa.Schema, writer: str) -> DataError:
    """What is said of a table without the metadata of embeddings."""
    lost = f"{where}: no embeddings of xmir (no {EMBEDDINGS_SCHEMA} in its metadata)"
    if EMBEDDING not in schema.names:
        return DataError(lost, "Make them with 'xmir embed'.")
    program = "pandas" if b"pandas" in (schema.metadata or {}) else writer or "another program"
    return DataError(
        f"{lost}; {program} wrote it, and which model made its vectors is lost",
        "Say which one it was with `model` or `architecture`. Else make them with 'xmir embed'.",
    )


def _dim(where: str, schema: pa.Schema) -> int | None:
    """The length of the vectors; None where the column's type does not tell."""
    kind = schema.field(EMBEDDING).type if EMBEDDING in schema.names else pa.null()
    if not is_vectors(kind):
        raise DataError(f"{where}: column {EMBEDDING}: expected float32 vectors, found {kind}")
    if not pa.types.is_fixed_size_list(kind):
        return None
    if kind.list_size < 1:
        raise DataError(f"{where}: vectors of length 0")
    return int(kind.list_size)


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
