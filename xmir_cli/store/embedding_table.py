"""What an embeddings table looks like, in memory, in Parquet and in an Arrow stream."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from xmir_cli import __version__
from xmir_cli.errors import DataError
from xmir_cli.store.features import (
    KIND,
    FeatureMaps,
    Shape,
    column_of,
    parse_shape,
    shape_text,
)
from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.strict import parse_json
from xmir_cli.workarounds.pyarrow import leave_pandas_out

leave_pandas_out()  # every command that reads or writes tables imports this file

EMBEDDINGS_SCHEMA = "xmir.embeddings/1"
EMBEDDING = "embedding"
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


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Images and their vectors: row i of one belongs to row i of the other."""

    items: pa.Table  # id path sha256 width height label patient split and the manifest's columns
    vectors: np.ndarray  # [N, D] float32, C-contiguous
    model: ModelSpec
    made: Mapping[str, str] = field(default_factory=dict)  # precision and the like, as metadata
    features: FeatureMaps | None = None  # the last feature maps, for a table that has them


@dataclass(frozen=True)
class Header:
    """What the metadata and the schema of a table promise."""

    rows: int
    dim: int
    model: ModelSpec
    made: Mapping[str, str]
    features: Shape | None = None  # of the feature maps, where there are any

    @property
    def row_bytes(self) -> int:
        """What the vector and the feature map of one row weigh, which are not compressed."""
        return self.dim * 4 + math.prod(self.features or (0,)) * KIND.itemsize


def to_table(embeddings: Embeddings) -> pa.Table:
    """Items and vectors as one table with the metadata of the contract."""
    rows, dim = embeddings.vectors.shape
    kind = pa.list_(pa.field("item", pa.float32(), nullable=False), dim)
    values = pa.array(np.ascontiguousarray(embeddings.vectors, np.float32).reshape(-1))
    vectors = pa.FixedSizeListArray.from_arrays(values, type=kind)
    own = {
        "schema": EMBEDDINGS_SCHEMA,
        "version": __version__,
        "rows": str(rows),
        "model": json.dumps(embeddings.model.to_json(), sort_keys=True),
    }
    metadata = {f"xmir.{name}": text for name, text in (own | dict(embeddings.made)).items()}
    table = embeddings.items.append_column(pa.field(EMBEDDING, kind, nullable=False), vectors)
    return table.replace_schema_metadata(metadata)


def to_tables(embeddings: Embeddings) -> Iterator[pa.Table]:
    """The same in pieces that memory can hold: with feature maps a block of them at a time."""
    table = to_table(embeddings)
    if embeddings.features is None:
        yield table
        return
    shape = shape_text(embeddings.features.shape)
    metadata = {**table.schema.metadata, "xmir.features": shape}
    start = 0
    for block in embeddings.features.blocks():
        part = table.slice(start, len(block)).append_column(*column_of(block))
        yield part.replace_schema_metadata(metadata)
        start += len(block)


def check_schema(where: str, schema: pa.Schema) -> Header:
    """What the table promises; raises DataError unless it is an embeddings table of ours."""
    metadata = {
        key.decode("utf-8", "replace").removeprefix("xmir."): value.decode("utf-8", "replace")
        for key, value in (schema.metadata or {}).items()
        if key.startswith(b"xmir.")
    }
    if metadata.pop("schema", None) != EMBEDDINGS_SCHEMA:
        raise DataError(
            f"{where}: no embeddings of xmir (no {EMBEDDINGS_SCHEMA} in its metadata)",
            "Make them with 'xmir embed'.",
        )
    if len(set(schema.names)) < len(schema.names):
        raise DataError(f"{where}: two columns have the same name")
    for name, kind in COLUMNS.items():
        if name not in schema.names or schema.field(name).type != kind:
            found = schema.field(name).type if name in schema.names else "nothing"
            raise DataError(f"{where}: column {name}: expected {kind}, found {found}")
    metadata.pop("version", None)
    model, rows = metadata.pop("model", ""), metadata.pop("rows", "")
    shape = metadata.pop("features", None)
    try:
        spec = ModelSpec.from_json(parse_json(model), where)
        features = None if shape is None else parse_shape(shape)
        return Header(int(rows), _dim(where, schema), spec, metadata, features)
    except ValueError:
        raise DataError(f"{where}: damaged metadata") from None


def _dim(where: str, schema: pa.Schema) -> int:
    kind = schema.field(EMBEDDING).type if EMBEDDING in schema.names else pa.null()
    if not pa.types.is_fixed_size_list(kind) or kind.value_type != pa.float32():
        raise DataError(f"{where}: column {EMBEDDING}: expected float32 vectors, found {kind}")
    if kind.list_size < 1:
        raise DataError(f"{where}: vectors of length 0")
    return int(kind.list_size)


def check_items(where: str, items: pa.Table) -> None:
    """Raise DataError for items without id, path, hash or size, or with damaged text."""
    items.validate(full=True)
    for name in _FILLED:
        if items[name].null_count:
            raise DataError(f"{where}: column {name}: {items[name].null_count} rows have none")


def copy_vectors(where: str, column: pa.ChunkedArray | pa.Array, into: np.ndarray) -> None:
    """Copy an embedding column into [N, D]; raises DataError for missing vectors or numbers."""
    values = pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column
    flat = values.flatten()  # unlike .values it minds slices
    if values.null_count or flat.null_count or len(flat) != into.size:
        raise DataError(f"{where}: column {EMBEDDING}: missing vectors")
    into[:] = flat.to_numpy(zero_copy_only=False).reshape(into.shape)
