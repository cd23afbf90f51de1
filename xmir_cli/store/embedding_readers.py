"""Reading embeddings tables with nothing taken on trust: sizes first, checksums, whole or not."""

import itertools
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from xmir_cli import console
from xmir_cli.errors import DataError
from xmir_cli.store.embedding_table import (
    EMBEDDING,
    SUM,
    Embeddings,
    check_items,
    check_schema,
    hash_batch,
)
from xmir_cli.store.features import (
    FEATURE_COLUMN,
    KIND,
    FeatureMaps,
    Shape,
    Spool,
    block_rows,
    maps_of,
)
from xmir_cli.store.footer import check_footer
from xmir_cli.store.kinds import called, find_kind, next_step
from xmir_cli.store.regular import open_regular
from xmir_cli.store.rewritten import join_items, read_vectors
from xmir_cli.wire.model import ModelSpec

_BATCH = 2_048  # rows held at once; more are slower
_SHRINKS = 20  # how many times smaller compression may make vectors and maps
_HARMLESS = 16 << 20  # bytes that may come out of any file
_ERRORS = (pa.ArrowException, OSError, ValueError, MemoryError, OverflowError)


@dataclass(frozen=True)
class Counted:
    """What a Parquet file of embeddings holds."""

    rows: int
    dim: int
    model: ModelSpec
    made: Mapping[str, str]
    features: Shape | None  # of the feature maps, where there are any


def read_parquet(path: Path, vouched: ModelSpec | None = None) -> Embeddings:
    """One Parquet file; raises DataError when it is not embeddings or not whole.

    `vouched` is the model that is said to have made it, should the file not tell.
    """
    with open_regular(path) as file:
        try:
            check_footer(file)
            # a flipped bit in a page goes unnoticed without the checksums
            parquet = pq.ParquetFile(file, page_checksum_verification=True)
            found = _count(path, file, parquet, vouched)
            own = {EMBEDDING, FEATURE_COLUMN} if found.features else {EMBEDDING}
            columns = [name for name in parquet.schema_arrow.names if name not in own]
            items = parquet.read(columns=columns, use_threads=False)
            items = check_items(str(path), items)
            vectors = np.empty((found.rows, found.dim), np.float32)
            start = 0
            for part in parquet.iter_batches(_BATCH, columns=[EMBEDDING], use_threads=False):
                block = read_vectors(str(path), part.column(EMBEDDING), found.dim, start)
                vectors[start : start + len(block)] = block
                start += len(block)
            if (start, len(items)) != (found.rows, found.rows):  # a page was passed over
                raise ValueError
        except _ERRORS:
            raise DataError(f"{path}: damaged or not a Parquet file") from None
    features = None if found.features is None else _features(path, found.features)
    return Embeddings(items, vectors, found.model, found.made, features)


def _features(path: Path, shape: Shape) -> FeatureMaps:
    def blocks() -> Iterator[np.ndarray]:
        with open_regular(path) as file:
            try:
                parquet = pq.ParquetFile(file, page_checksum_verification=True)
                rows = parquet.metadata.num_rows
                for part in parquet.iter_batches(
                    min(_BATCH, block_rows(shape)), columns=[FEATURE_COLUMN], use_threads=False
                ):
                    rows -= len(part)
                    yield maps_of(str(path), part.column(FEATURE_COLUMN), shape)
                if rows:  # as above
                    raise ValueError
            except _ERRORS:
                raise DataError(f"{path}: damaged or not a Parquet file") from None

    return FeatureMaps(shape, blocks)


def read_embeddings_header(path: Path) -> Counted:
    """What a Parquet file of embeddings holds, read from its footer alone."""
    with open_regular(path) as file:
        try:
            check_footer(file)
            return _count(path, file, pq.ParquetFile(file), None)
        except _ERRORS:
            raise DataError(f"{path}: damaged or not a Parquet file") from None


def _count(
    path: Path, file: BinaryIO, parquet: pq.ParquetFile, vouched: ModelSpec | None
) -> Counted:
    about = parquet.metadata
    writer = str(about.created_by or "").partition(" ")[0]
    header = check_schema(str(path), parquet.schema_arrow, vouched, writer)
    rows = about.num_rows
    if header.rows is not None and header.rows < rows and vouched is None:
        raise DataError(
            f"{path}: expected {header.rows} rows, found {rows}: are all of one model?",
            "If they are, say of which with `model` or `architecture`.",
        )
    if header.rows is not None and header.rows > rows:
        console.note(f"{path}: {rows} of the {header.rows} rows that it was made with")
    dim = header.dim or _first_length(path, parquet)
    row_bytes = dim * 4 + math.prod(header.features or (0,)) * KIND.itemsize
    size = os.fstat(file.fileno()).st_size
    # vectors hardly shrink, so a file that promises much more than it weighs is a bomb
    if rows * row_bytes > max(_HARMLESS, size * _SHRINKS):
        raise DataError(f"{path}: promises more vectors than it holds")
    return Counted(rows, dim, header.model, header.made, header.features)


def not_embeddings(path: Path) -> DataError:
    """The error for a file or folder of another kind, which it names."""
    kind = find_kind(path)
    found = f", but {called(kind)}" if kind else ""
    step = next_step("embeddings", kind, str(path)) or "Make one with 'xmir embed'."
    return DataError(f"{path}: not an embeddings file{found}", step)


def _first_length(path: Path, parquet: pq.ParquetFile) -> int:
    """The length of the first vector; the footer is not asked, for pyarrow aborts on a bad one."""
    first = next(parquet.iter_batches(1, columns=[EMBEDDING], use_threads=False), None)
    vector = None if first is None or not len(first) else first.column(0)[0].as_py()
    if not vector:
        raise DataError(f"{path}: column {EMBEDDING}: no vector in it")
    return len(vector)


def read_parts(folder: Path, vouched: ModelSpec | None = None) -> Embeddings:
    """All part-*.parquet of a folder in name order; raises DataError when they do not fit."""
    paths = sorted(folder.glob("part-*.parquet"))
    if not paths:
        raise not_embeddings(folder)
    parts = [read_parquet(path, vouched) for path in paths]
    first = parts[0]
    for path, part in zip(paths, parts, strict=True):
        if not first.model.same_embedding(part.model) or first.made != part.made:
            raise DataError(f"{path}: not made by the model of {paths[0].name}")
        if part.vectors.shape[1] != first.vectors.shape[1]:
            raise DataError(f"{path}: vectors of another length than in {paths[0].name}")
        if _shape(part) != _shape(first):
            raise DataError(f"{path}: feature maps of another shape than in {paths[0].name}")
    items = join_items([part.items for part in parts])
    vectors = np.concatenate([part.vectors for part in parts])
    return Embeddings(items, vectors, first.model, first.made, _joined(parts))


def _shape(embeddings: Embeddings) -> Shape | None:
    return None if embeddings.features is None else embeddings.features.shape


def _joined(parts: Sequence[Embeddings]) -> FeatureMaps | None:
    """The maps of parts that all have them, one part after the other."""
    each = [part.features for part in parts if part.features is not None]
    if not each:
        return None
    return FeatureMaps(
        each[0].shape, lambda: itertools.chain.from_iterable(maps.blocks() for maps in each)
    )


def read_stream(where: str, stream: BinaryIO) -> Embeddings:
    """An Arrow IPC stream to its end; raises DataError when its writer did not finish."""
    try:
        reader = pa.ipc.open_stream(stream)
        header = check_schema(where, reader.schema)
        items, vectors, spool = [], [], Spool()
        dim = header.dim
        if dim is None:
            raise ValueError("only xmir writes streams")
        own = [EMBEDDING] if header.features is None else [EMBEDDING, FEATURE_COLUMN]
        for batch, told in reader.iter_batches_with_custom_metadata():
            batch.validate(full=True)
            if header.summed and (told or {}).get(SUM) != hash_batch(batch).encode():
                raise ValueError
            part = read_vectors(where, batch.column(EMBEDDING), dim)
            vectors.append(np.asarray(part, np.float32))
            items.append(batch.drop_columns(own))
            if header.features is not None:
                for maps in maps_of(where, batch.column(FEATURE_COLUMN), header.features):
                    spool.add(maps)
        table = pa.Table.from_batches(items, _without(reader.schema, own))
    except _ERRORS:
        raise DataError(f"{where}: damaged or cut Arrow stream") from None
    found = sum(len(part) for part in vectors)
    if found != header.rows:
        raise DataError(f"{where}: expected {header.rows} rows, found {found}; did its writer die?")
    table = check_items(where, table)
    together = np.concatenate(vectors) if vectors else np.empty((0, dim), np.float32)
    features = spool.all() if header.features is not None and header.rows else None
    return Embeddings(table, together, header.model, header.made, features)


def _without(schema: pa.Schema, names: Sequence[str]) -> pa.Schema:
    return pa.schema([field for field in schema if field.name not in names])
