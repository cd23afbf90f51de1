"""Reading embeddings tables with nothing taken on trust: sizes first, checksums, whole or not."""

import os
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
from xmir_cli.store.regular import open_regular

_ERRORS = (pa.ArrowException, OSError, ValueError, MemoryError, OverflowError)


def read_parquet(path: Path) -> Embeddings:
    """One Parquet file; raises DataError when it is not embeddings or not whole."""
    with open_regular(path) as file:
        try:
            # a flipped bit in a page goes unnoticed without the checksums
            parquet = pq.ParquetFile(file, page_checksum_verification=True)
            header = _check_size(path, file, parquet)
            columns = [name for name in parquet.schema_arrow.names if name != EMBEDDING]
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
    return Embeddings(items, vectors, header.model, header.made)


def read_header(path: Path) -> Header:
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
    # the vectors lie uncompressed, so a file that promises more than it weighs is a bomb
    if header.rows * header.dim * 4 > os.fstat(file.fileno()).st_size:
        raise DataError(f"{path}: promises more vectors than it holds")
    return header


def read_parts(folder: Path) -> Embeddings:
    """All part-*.parquet of a folder in name order; raises DataError when they do not fit."""
    paths = sorted(folder.glob("part-*.parquet"))
    if not paths:
        raise DataError(f"{folder}: no part-*.parquet there")
    parts = [read_parquet(path) for path in paths]
    first = parts[0]
    for path, part in zip(paths, parts, strict=True):
        if not first.model.same_embedding(part.model) or first.made != part.made:
            raise DataError(f"{path}: not made by the model of {paths[0].name}")
        if part.vectors.shape[1] != first.vectors.shape[1]:
            raise DataError(f"{path}: vectors of another length than in {paths[0].name}")
    items = pa.concat_tables([part.items for part in parts], promote_options="default")
    return Embeddings(
        items, np.concatenate([part.vectors for part in parts]), first.model, first.made
    )


def read_stream(where: str, stream: BinaryIO) -> Embeddings:
    """An Arrow IPC stream to its end; raises DataError when its writer did not finish."""
    try:
        reader = pa.ipc.open_stream(stream)
        header = check_schema(where, reader.schema)
        items, vectors = [], []
        for batch in reader:
            batch.validate(full=True)
            part = np.empty((len(batch), header.dim), np.float32)
            copy_vectors(where, batch.column(EMBEDDING), part)
            vectors.append(part)
            items.append(batch.drop_columns([EMBEDDING]))
        place = reader.schema.get_field_index(EMBEDDING)
        table = pa.Table.from_batches(items, reader.schema.remove(place))
    except _ERRORS:
        raise DataError(f"{where}: damaged or cut Arrow stream") from None
    found = sum(len(part) for part in vectors)
    if found != header.rows:
        raise DataError(f"{where}: expected {header.rows} rows, found {found}; did its writer die?")
    check_items(where, table)
    together = np.concatenate(vectors) if vectors else np.empty((0, header.dim), np.float32)
    return Embeddings(table.replace_schema_metadata(None), together, header.model, header.made)
