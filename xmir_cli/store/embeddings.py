"""Embeddings files: one Parquet table of images and unit vectors that names the model behind it.

Between pipes the same table is an Arrow IPC stream, for Parquet cannot be read from a pipe.
"""

import itertools
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from xmir_cli.errors import DataError
from xmir_cli.store.arrays import write_array_to
from xmir_cli.store.atomic import atomic_file, on_disk
from xmir_cli.store.embedding_opening import open_embeddings
from xmir_cli.store.embedding_source import EmbeddingSource, gather
from xmir_cli.store.embedding_table import (
    EMBEDDING,
    SUM,
    SUMMED,
    Embeddings,
    hash_batch,
    to_table,
    to_tables,
)
from xmir_cli.store.footer import summed_writer
from xmir_cli.wire.model import ModelSpec

__all__ = [
    "EmbeddingSource",
    "Embeddings",
    "label_array",
    "open_embeddings",
    "read_embeddings",
    "write_embeddings",
    "write_matrix",
    "write_stream",
]

_GROUP_ROWS = 16_384  # rows of a row group: what a reader holds at once


def write_as(kind: str, path: Path, embeddings: Embeddings) -> None:
    """Write embeddings as parquet, as arrow (a stream), or as npy beside their items."""
    if kind == "parquet":
        write_embeddings(path, embeddings)
    elif kind == "npy":
        write_matrix(path, embeddings)
    else:
        with atomic_file(path) as file:
            write_stream(file, embeddings)


def write_embeddings(path: Path, embeddings: Embeddings) -> None:
    """Write the Parquet file in one atomic step; equal embeddings give equal bytes.

    Vectors lie uncompressed, every page carries a checksum, and the footer has one.
    """
    columns = embeddings.items.column_names
    tables = to_tables(embeddings)
    first = next(tables)
    with (
        atomic_file(path) as file,
        summed_writer(
            file,
            first.schema,
            compression=dict.fromkeys(columns, "zstd"),
            use_dictionary=columns,
            write_statistics=columns,
            write_page_checksum=True,
        ) as writer,
    ):
        for table in itertools.chain([first], tables):
            writer.write_table(table, row_group_size=_GROUP_ROWS)


def write_matrix(path: Path, embeddings: Embeddings) -> None:
    """Write the bare vectors as .npy, and beside it the items: row i belongs to vector i.

    A matrix never lies beside items that are not its own, not even after a kill.
    """
    table = to_table(embeddings).drop_columns([EMBEDDING])
    with atomic_file(path) as matrix:
        write_array_to(matrix, embeddings.vectors)
        on_disk(matrix)
        with atomic_file(path.with_suffix(".items.parquet")) as items:
            pq.write_table(table, items, compression="zstd")
            on_disk(items)
            path.unlink(missing_ok=True)  # both are whole: from here on no disk can be too full


def write_stream(stream: BinaryIO, embeddings: Embeddings) -> None:
    """Write the table as an Arrow IPC stream; its metadata tells how many rows are to come.

    Every batch carries a checksum.
    """
    tables = to_tables(embeddings, **{SUMMED: "sha256"})
    first = next(tables)
    writer = pa.ipc.new_stream(stream, first.schema)
    for table in itertools.chain([first], tables):
        for batch in table.to_batches(max_chunksize=_GROUP_ROWS):
            writer.write_batch(batch, custom_metadata={SUM: hash_batch(batch)})
    writer.close()
    stream.flush()


def read_embeddings(
    source: str, allow_nan: bool = False, vouched: ModelSpec | None = None
) -> Embeddings:
    """All of what `open_embeddings` opens, in memory.

    Raises DataError as it does, for anything that is not whole: schema, row count, page checksums;
    and for NaN or infinity, unless `allow_nan`.
    """
    embeddings = gather(open_embeddings(source, vouched))
    if not allow_nan:
        _check_finite(source, embeddings.vectors)
    return embeddings


def label_array(embeddings: Embeddings, column: str) -> list[str | None]:
    """The values of a column, one a row; raises DataError naming the columns there are."""
    if column not in embeddings.items.column_names:
        names = ", ".join(embeddings.items.column_names)
        raise DataError(f"no column {column!r} in the embeddings; there are {names}")
    values: list[str | None] = embeddings.items[column].cast(pa.string()).to_pylist()
    return values


def _check_finite(source: str, vectors: np.ndarray) -> None:
    for start in range(0, len(vectors), _GROUP_ROWS):  # in pieces: the mask of all is N x D bytes
        fine = np.isfinite(vectors[start : start + _GROUP_ROWS]).all(axis=1)
        if not fine.all():
            raise DataError(f"{source}: row {start + int(np.argmin(fine))}: NaN or infinity")
