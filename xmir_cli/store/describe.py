"""What a file is and what made it, read from headers and footers as far as they tell."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import cast

import pyarrow as pa
import pyarrow.parquet as pq

from xmir_cli import console
from xmir_cli.errors import DataError
from xmir_cli.store.arrays import read_array
from xmir_cli.store.checkpoint import METADATA, read_tensors_header
from xmir_cli.store.concepts import is_concept
from xmir_cli.store.describe_columns import describe_columns, pick_columns
from xmir_cli.store.describe_numbers import describe_numbers
from xmir_cli.store.describe_outputs import (
    describe_differences,
    describe_ids,
    describe_maps,
    describe_page,
)
from xmir_cli.store.describe_records import describe_records
from xmir_cli.store.embedding_header import EMBEDDING, EMBEDDINGS_SCHEMA
from xmir_cli.store.embedding_parts import open_parts
from xmir_cli.store.embedding_readers import open_parquet
from xmir_cli.store.embedding_source import EmbeddingSource
from xmir_cli.store.embedding_stream import open_stream
from xmir_cli.store.features import FEATURE_COLUMN
from xmir_cli.store.kinds import find_kind
from xmir_cli.store.manifest import is_manifest, read_table
from xmir_cli.store.regular import DESCRIPTION_LIMIT, open_regular, read_regular
from xmir_cli.store.runs import OWN
from xmir_cli.store.shards import name_missing
from xmir_cli.wire.records import Record
from xmir_cli.wire.strict import parse_json

_PARTS = ("part-*.parquet", "part-*.parquet.parts")  # the latter of shards that are not done
_ROWS = 16_384  # read at a time


def describe_stored(path: Path) -> Record | None:
    """What a file or folder of this layer's kinds holds; None for one of another kind.

    Raises DataError or ModelError for one that is damaged.
    """
    if path.is_dir():
        begun = any(next(path.glob(pattern), None) for pattern in _PARTS)
        return _parts(path) if begun else describe_differences(path) or describe_maps(path)
    if path.suffix == ".json" and path.with_suffix(".npy").is_file():
        array = path.with_suffix(".npy")
        what = "concept" if is_concept(array) else "map"
        raise DataError(f"{path}: belongs to the {what} {array.name} beside it")
    with open_regular(path) as file:
        start = file.read(9)
    kinds: list[tuple[bool, Callable[[Path], Record]]] = [
        (
            start[:1] == b"{" and b"\0" not in start and find_kind(path) == "records",
            describe_records,
        ),
        (start.startswith(b"PAR1"), _parquet),
        (start.startswith(b"\xff\xff\xff\xff"), _stream),
        (start.startswith(b"\x93NUMPY"), _array),
        (start[8:] == b"{", _tensors),
        (is_manifest(path.name), _manifest),
    ]
    known = next((describe for fits, describe in kinds if fits), None)
    return known(path) if known else describe_page(path) or describe_ids(path)


def _parquet(path: Path) -> Record:
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError, ValueError):
        raise DataError(f"{path}: damaged or not a Parquet file") from None
    if (schema.metadata or {}).get(b"xmir.schema") != EMBEDDINGS_SCHEMA.encode() or (
        EMBEDDING not in schema.names
    ):
        return _manifest(path)
    source = open_parquet(path)
    columns = [name for name in schema.names if name not in (EMBEDDING, FEATURE_COLUMN)]
    record = _of_embeddings(source, columns, source.columns(_ROWS, _described(schema)))
    return record if source.shard is None else {**record, "shard": str(source.shard)}


def _parts(folder: Path) -> Record:
    source = open_parts(folder, whole=False)
    wanted = _described(source.schema)
    pieces = (piece for part in source.parts for piece in part.columns(_ROWS, wanted))
    record = _of_embeddings(source, source.schema.names, pieces)
    if not source.shards:
        return record
    if source.missing:
        console.warning(f"{folder}: {name_missing(source.missing, source.shards)}")
    return {**record, "shards": source.shards, "missing": list(source.missing)}


def _stream(path: Path) -> Record:
    source = open_stream(str(path), lambda: open_regular(path))
    wanted = _described(source.schema)
    pieces = (block.items for block in source.blocks(_ROWS, wanted))
    return _of_embeddings(source, source.schema.names, pieces)


def _of_embeddings(
    found: EmbeddingSource, columns: Sequence[str], pieces: Iterable[pa.Table]
) -> Record:
    """What embeddings are; `pieces` are the columns that are described, some rows at a time."""
    return {
        "kind": "embeddings",
        "rows": found.rows,
        "dim": found.dim,
        "columns": list(columns),
        **describe_columns(pieces),
        "model": found.model.to_json(),
        **found.made,
        **({"features": list(found.features.shape)} if found.features else {}),
    }


def _described(schema: pa.Schema) -> list[str]:
    return [name for name in pick_columns(schema) if name not in (EMBEDDING, FEATURE_COLUMN)]


def _manifest(path: Path) -> Record:
    rows = read_table(path)
    columns = list(rows[0]) if rows else []
    table = pa.table({name: _column([row[name] for row in rows]) for name in columns})
    told = describe_columns([table.select(pick_columns(table.schema))])
    return {"kind": "manifest", "rows": len(rows), "columns": columns, **told}


def _column(values: Sequence[object]) -> pa.Array:
    """The values of a column of a table; as texts where Arrow has no one type for them."""
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, UnicodeError):  # such as bytes that are no UTF-8
        texts = (None if value is None else str(value) for value in values)
        plain = (text and text.encode("utf-8", "backslashreplace").decode() for text in texts)
        return pa.array(list(plain), pa.string())


def _array(path: Path) -> Record:
    array = read_array(path)
    record: Record = {"kind": "array", "shape": list(array.shape), "type": str(array.dtype)}
    record |= describe_numbers(array)
    beside = path.with_suffix(".json")
    if beside.is_file():
        record |= {
            "kind": "concept" if is_concept(path) else "saliency",
            "made_by": _object(beside, read_regular(beside, DESCRIPTION_LIMIT)),
        }
    return record


def _tensors(path: Path) -> Record:
    header = read_tensors_header(path)
    metadata = cast("dict[str, str]", header.pop(METADATA, {}))
    entries = cast("list[Mapping[str, object]]", list(header.values()))
    record: Record = {
        "kind": _KINDS.get(metadata.get("xmir.schema", ""), "tensors"),
        "tensors": len(entries),
        "parameters": sum(math.prod(cast("list[int]", entry["shape"])) for entry in entries),
        "types": sorted({str(entry["dtype"]) for entry in entries}),
    }
    for name in ("model", "training"):
        if f"xmir.{name}" in metadata:
            record[name] = _object(path, metadata[f"xmir.{name}"].encode())
    model = record.get("model")
    if isinstance(model, dict) and model.get("weights") == OWN:
        record["model"] = {**model, "weights": str(path.resolve())}
    return record


_KINDS = {"xmir.checkpoint/1": "checkpoint", "xmir.training/1": "training state"}


def _object(path: Path, text: bytes) -> Record:
    try:
        value: object = parse_json(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise DataError(f"{path}: damaged metadata")
    return value
