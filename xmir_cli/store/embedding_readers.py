"""Reading embeddings tables with nothing taken on trust: sizes first, checksums, whole or not."""

import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from xmir_cli.errors import DataError
from xmir_cli.store.embedding_table import (
    EMBEDDING,
    Embeddings,
    Header,
    check_items,
    check_schema,
    copy_vectors,
)
from xmir_cli.store.features import FEATURE_COLUMN, FeatureMaps, Shape, Spool, maps_of
from xmir_cli.store.kinds import called, find_kind, next_step
from xmir_cli.store.regular import open_regular

_ERRORS = (pa.ArrowException, OSError, ValueError, MemoryError, OverflowError)


def read_parquet(path: Path) -> Embeddings:
    """One Parquet file; raises DataError when it is not embeddings or not whole."""
    with open_regular(path) as file:
        try:
            # a flipped bit in a page goes unnoticed without the checksums
            parquet = pq.ParquetFile(file, page_checksum_verification=True)
            header = _check_size(path, file, parquet)
            own = {EMBEDDING, FEATURE_COLUMN} if header.features else {EMBEDDING}
            columns = [name for name in parquet.schema_arrow.names if name not in own]
            items = parquet.read(columns=columns, use_threads=False).replace_schema_metadata(None)
            check_items(str(path), items)
            vectors = np.empty((header.rows, header.dim), np.float32)
            start = 0
            for group in range(parquet.num_row_groups):
                part = parquet.read_row_group(group, columns=[EMBEDDING], use_threads=False)
                copy_vectors(str(path), part[EMBEDDING], vectors[start : start + len(part)])
                start += len(part)
        except _ERRORS:
            raise DataError(f"{path}: damaged or not a Parquet file") from None
    features = None if header.features is None else _features(path, header.features)
    return Embeddings(items, vectors, header.model, header.made, features)


def _features(path: Path, shape: Shape) -> FeatureMaps:
    def blocks() -> Iterator[np.ndarray]:
        with open_regular(path) as file:
            try:
                parquet = pq.ParquetFile(file, page_checksum_verification=True)
                for group in range(parquet.num_row_groups):
                    part = parquet.read_row_group(
                        group, columns=[FEATURE_COLUMN], use_threads=False
                    )
                    yield maps_of(str(path), part[FEATURE_COLUMN], shape)
            except _ERRORS:
                raise DataError(f"{path}: damaged or not a Parquet file") from None

    return FeatureMaps(shape, blocks)


def read_embeddings_header(path: Path) -> Header:
    """What a Parquet file of embeddings promises, read from its footer alone."""
    with open_regular(path) as file:
        try:
            return _check_size(path, file, pq.ParquetFile(file))
        except _ERRORS:
            raise DataError(f"{path}: damaged or not a Parquet file") from None


def _check_size(path: Path, file: BinaryIO, parquet: pq.ParquetFile) -> Header:
    header = check_schema(str(path), parquet.schema_arrow)
    if header.rows != parquet.metadata.num_rows:
        raise DataError(f"{path}: expected {header.rows} rows, found {parquet.metadata.num_rows}")
    # they lie uncompressed, so a file that promises more than it weighs is a bomb
    if header.rows * header.row_bytes > os.fstat(file.fileno()).st_size:
        raise DataError(f"{path}: promises more vectors than it holds")
    return header


def not_embeddings(path: Path) -> DataError:
    """The error for a file or folder of another kind, which it names."""
    kind = find_kind(path)
    found = f", but {called(kind)}" if kind else ""
    step = next_step("embeddings", kind, str(path)) or "Make one with 'xmir embed'."
    return DataError(f"{path}: not an embeddings file{found}", step)


def read_parts(folder: Path) -> Embeddings:
    """All part-*.parquet of a folder in name order; raises DataError when they do not fit."""
    paths = sorted(folder.glob("part-*.parquet"))
    if not paths:
        raise not_embeddings(folder)
    parts = [read_parquet(path) for path in paths]
    first = parts[0]
    for path, part in zip(paths, parts, strict=True):
        if not first.model.same_embedding(part.model) or first.made != part.made:
            raise DataError(f"{path}: not made by the model of {paths[0].name}")
        if part.vectors.shape[1] != first.vectors.shape[1]:
            raise DataError(f"{path}: vectors of another length than in {paths[0].name}")
        if _shape(part) != _shape(first):
            raise DataError(f"{path}: feature maps of another shape than in {paths[0].name}")
    items = pa.concat_tables([part.items for part in parts], promote_options="default")
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
        own = [EMBEDDING] if header.features is None else [EMBEDDING, FEATURE_COLUMN]
        for batch in reader:
            batch.validate(full=True)
            part = np.empty((len(batch), header.dim), np.float32)
            copy_vectors(where, batch.column(EMBEDDING), part)
            vectors.append(part)
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
    check_items(where, table)
    together = np.concatenate(vectors) if vectors else np.empty((0, header.dim), np.float32)
    features = spool.all() if header.features is not None and header.rows else None
    return Embeddings(
        table.replace_schema_metadata(None), together, header.model, header.made, features
    )


def _without(schema: pa.Schema, names: Sequence[str]) -> pa.Schema:
    return pa.schema([field for field in schema if field.name not in names])
