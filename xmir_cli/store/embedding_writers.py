"""Writing embeddings tables that come in pieces, none of which is held when the next one comes.

A piece is a table of items and vectors, and of feature maps where the header promises them; all are
of one schema, and together they have as many rows as the header says.
"""

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from operator import methodcaller
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from xmir_cli.store.arrays import array_header, to_bytes
from xmir_cli.store.atomic import atomic_file, on_disk
from xmir_cli.store.embedding_header import EMBEDDING, Header, to_metadata
from xmir_cli.store.embedding_table import SUM, hash_batch
from xmir_cli.store.features import FEATURE_COLUMN, KIND
from xmir_cli.store.footer import summed_writer
from xmir_cli.store.rewritten import read_vectors

GROUP_ROWS = 16_384  # rows of a row group: what a reader holds at once
_GROUP_BYTES = 16 << 20  # of vectors and maps


def group_rows(header: Header) -> int:
    """How many rows are written at once: fewer where vectors are long, or maps lie beside them."""
    assert header.dim is not None
    row = 4 * header.dim + math.prod(header.features or (0,)) * KIND.itemsize
    return max(1, min(GROUP_ROWS, _GROUP_BYTES // row))


def write_as(kind: str, path: Path, header: Header, tables: Iterable[pa.Table]) -> None:
    """Write embeddings as parquet, as arrow (a stream), or as npy beside their items."""
    if kind == "parquet":
        write_parquet(path, header, tables)
    elif kind == "npy":
        write_matrix(path, header, tables)
    else:
        with atomic_file(path) as file:
            write_arrow(file, header, tables)


def write_parquet(path: Path, header: Header, tables: Iterable[pa.Table]) -> None:
    """Write the Parquet file in one atomic step; equal tables give equal bytes.

    Vectors lie uncompressed, every page carries a checksum, and the footer has one.
    """
    schema, pieces = _with_schema(header, tables)
    own = [EMBEDDING] if header.features is None else [EMBEDDING, FEATURE_COLUMN]
    columns = [name for name in schema.names if name not in own]
    with (
        atomic_file(path) as file,
        summed_writer(
            file,
            schema,
            compression=dict.fromkeys(columns, "zstd"),
            use_dictionary=columns,
            write_statistics=columns,
            write_page_checksum=True,
        ) as writer,
    ):
        for piece in pieces:
            writer.write_table(piece, row_group_size=GROUP_ROWS)
            del piece  # before the next one is made


def write_matrix(path: Path, header: Header, tables: Iterable[pa.Table]) -> None:
    """Write the bare vectors as .npy, and beside it the items: row i belongs to vector i.

    A matrix never lies beside items that are not its own, not even after a kill.
    """
    assert header.dim is not None
    assert header.rows is not None
    schema, pieces = _with_schema(header, tables)
    items_schema = schema.remove(schema.get_field_index(EMBEDDING))
    with atomic_file(path) as matrix, atomic_file(path.with_suffix(".items.parquet")) as items:
        matrix.write(array_header((header.rows, header.dim), np.dtype(np.float32)))
        with pq.ParquetWriter(items, items_schema, compression="zstd") as writer:
            for piece in pieces:
                vectors = piece[EMBEDDING].combine_chunks()
                matrix.write(to_bytes(read_vectors(str(path), vectors, header.dim)))
                writer.write_table(piece.drop_columns([EMBEDDING]))
                del piece, vectors  # before the next one is made
        on_disk(matrix)
        on_disk(items)
        path.unlink(missing_ok=True)  # both are whole: from here on no disk can be too full


def write_arrow(stream: BinaryIO, header: Header, tables: Iterable[pa.Table]) -> None:
    """Write the table as an Arrow IPC stream; its metadata tells how many rows are to come.

    Every batch carries a checksum.
    """
    schema, pieces = _with_schema(replace(header, summed=True), tables)
    writer = pa.ipc.new_stream(stream, schema)
    for piece in pieces:
        for batch in piece.to_batches(max_chunksize=GROUP_ROWS):
            writer.write_batch(batch, custom_metadata={SUM: hash_batch(batch)})
    writer.close()
    stream.flush()


def _with_schema(
    header: Header, tables: Iterable[pa.Table]
) -> tuple[pa.Schema, Iterator[pa.Table]]:
    """The schema with what the header says as its metadata, and the pieces under it."""
    pieces = iter(tables)
    first = next(pieces)
    schema = first.schema.with_metadata(to_metadata(header))
    tell = methodcaller("replace_schema_metadata", schema.metadata)
    return schema, map(tell, itertools.chain([first], pieces))  # which holds no piece itself
