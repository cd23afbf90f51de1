"""Embeddings files: one Parquet table of images and unit vectors that names the model behind it.

Between pipes the same table is an Arrow IPC stream, for Parquet cannot be read from a pipe.
"""

from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from xmir_cli.errors import DataError
from xmir_cli.store.embedding_opening import open_embeddings
from xmir_cli.store.embedding_source import EmbeddingSource, gather
from xmir_cli.store.embedding_table import Embeddings, header_of, to_tables
from xmir_cli.store.embedding_writers import GROUP_ROWS, write_arrow, write_parquet
from xmir_cli.wire.model import ModelSpec

__all__ = [
    "EmbeddingSource",
    "Embeddings",
    "label_array",
    "open_embeddings",
    "read_embeddings",
    "write_embeddings",
    "write_stream",
]


def write_embeddings(path: Path, embeddings: Embeddings) -> None:
    """Write the Parquet file in one atomic step; equal embeddings give equal bytes."""
    write_parquet(path, header_of(embeddings), to_tables(embeddings))


def write_stream(stream: BinaryIO, embeddings: Embeddings) -> None:
    """Write the table as an Arrow IPC stream."""
    write_arrow(stream, header_of(embeddings), to_tables(embeddings))


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
    for start in range(0, len(vectors), GROUP_ROWS):  # in pieces: the mask of all is N x D bytes
        fine = np.isfinite(vectors[start : start + GROUP_ROWS]).all(axis=1)
        if not fine.all():
            raise DataError(
                f"{source}: row {start + int(np.argmin(fine))}: NaN or infinity",
                "'xmir index' leaves such rows out, and its index can be read in their place.",
            )
