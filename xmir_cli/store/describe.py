"""What a file is and what made it, read from headers and footers as far as they tell."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import cast

import pyarrow as pa
import pyarrow.parquet as pq

from xmir_cli.errors import DataError
from xmir_cli.store.arrays import read_array
from xmir_cli.store.checkpoint import METADATA, read_tensors_header
from xmir_cli.store.embedding_readers import read_embeddings_header
from xmir_cli.store.embedding_table import EMBEDDING, EMBEDDINGS_SCHEMA, Embeddings
from xmir_cli.store.embeddings import read_embeddings
from xmir_cli.store.features import FEATURE_COLUMN
from xmir_cli.store.manifest import is_manifest, read_table
from xmir_cli.store.regular import DESCRIPTION_LIMIT, open_regular, read_regular
from xmir_cli.store.runs import OWN
from xmir_cli.wire.records import Record
from xmir_cli.wire.strict import parse_json

_GROUPS = ("label", "split")  # columns whose values are counted
_GROUPS_SHOWN = 20


def describe_stored(path: Path) -> Record | None:
    """What a file or folder of this layer's kinds holds; None for one of another kind.

    Raises DataError or ModelError for one that is damaged.
    """
    if path.is_dir():
        return (
            _of_embeddings(read_embeddings(str(path))) if any(path.glob("part-*.parquet")) else None
        )
    with open_regular(path) as file:
        start = file.read(9)
    kinds: list[tuple[bool, Callable[[Path], Record]]] = [
        (start.startswith(b"PAR1"), _parquet),
        (start.startswith(b"\xff\xff\xff\xff"), _stream),
        (start.startswith(b"\x93NUMPY"), _array),
        (start[8:] == b"{", _tensors),
        (is_manifest(path.name), _manifest),
    ]
    return next((describe(path) for fits, describe in kinds if fits), None)


def _parquet(path: Path) -> Record:
    try:
        schema = pq.read_schema(path)
        if (schema.metadata or {}).get(b"xmir.schema") != EMBEDDINGS_SCHEMA.encode() or (
            EMBEDDING not in schema.names
        ):
            return _manifest(path)
        header = read_embeddings_header(path)
        items = pq.read_table(
            path,
            columns=[name for name in _GROUPS if name in schema.names],
            page_checksum_verification=True,
        )
    except (pa.ArrowException, OSError, ValueError):
        raise DataError(f"{path}: damaged or not a Parquet file") from None
    return {
        "kind": "embeddings",
        "rows": header.rows,
        "dim": header.dim,
        "columns": [name for name in schema.names if name not in (EMBEDDING, FEATURE_COLUMN)],
        **{name: _counts(items[name].to_pylist()) for name in items.column_names},
        "model": header.model.to_json(),
        **header.made,
        **({"features": list(header.features)} if header.features else {}),
    }


def _stream(path: Path) -> Record:
    return _of_embeddings(read_embeddings(str(path), allow_nan=True))


def _of_embeddings(found: Embeddings) -> Record:
    rows, dim = found.vectors.shape
    return {
        "kind": "embeddings",
        "rows": rows,
        "dim": dim,
        "columns": found.items.column_names,
        **{name: _counts(found.items[name].to_pylist()) for name in _GROUPS},
        "model": found.model.to_json(),
        **found.made,
        **({"features": list(found.features.shape)} if found.features else {}),
    }


def _manifest(path: Path) -> Record:
    rows = read_table(path)
    columns = list(rows[0]) if rows else []
    counts = {name: _counts(row[name] for row in rows) for name in _GROUPS if name in columns}
    return {"kind": "manifest", "rows": len(rows), "columns": columns, **counts}


def _array(path: Path) -> Record:
    array = read_array(path)
    record: Record = {"kind": "array", "shape": list(array.shape), "type": str(array.dtype)}
    if array.size:
        record |= {
            "minimum": float(array.min()),
            "maximum": float(array.max()),
            "mean": float(array.mean()),
        }
    beside = path.with_suffix(".json")
    if beside.is_file():
        record |= {
            "kind": "saliency",
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


def _counts(values: Iterable[object]) -> Record:
    """How many rows have each value, the commonest first; the empty value is `-`."""
    counts = Counter("-" if value is None else str(value) for value in values)
    shown: Record = dict(counts.most_common(_GROUPS_SHOWN))
    if len(counts) > len(shown):
        shown["..."] = counts.total() - sum(cast("int", count) for count in shown.values())
    return shown
