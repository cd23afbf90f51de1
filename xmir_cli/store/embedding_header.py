"""What the metadata and the schema of an embeddings table promise, written and read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from xmir_cli import __version__, console
from xmir_cli.errors import DataError
from xmir_cli.store.features import FEATURE_COLUMN, Shape, parse_shape, shape_text
from xmir_cli.store.rewritten import find_columns, is_vectors
from xmir_cli.store.seal import seal, unseal
from xmir_cli.store.shards import Shard, parse_shard
from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.strict import parse_json
from xmir_cli.workarounds.pyarrow import leave_pandas_out

leave_pandas_out()  # every command that reads or writes tables imports this file

EMBEDDINGS_SCHEMA = "xmir.embeddings/1"
EMBEDDING = "embedding"
SUMMED = "batches"  # in the metadata of a stream: which checksum each of its batches has
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
