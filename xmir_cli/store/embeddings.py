"""Embeddings files: one Parquet table of images and unit vectors that names the model behind it.

Between pipes the same table is an Arrow IPC stream, for Parquet cannot be read from a pipe.
"""

import io
import itertools
import sys
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from xmir_cli.errors import DataError
from xmir_cli.store.arrays import write_array_to
from xmir_cli.store.atomic import atomic_file, on_disk
from xmir_cli.store.embedding_readers import (
    not_embeddings,
    read_parquet,
    read_parts,
    read_stream,
)
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
from xmir_cli.store.hashes import sha256_file
from xmir_cli.store.kinds import kind_of, next_step
from xmir_cli.store.regular import open_regular
from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.schemas.artifact import ArtifactRecord
from xmir_cli.wire.strict import parse_json

__all__ = [
    "Embeddings",
    "label_array",
    "read_embeddings",
    "write_embeddings",
    "write_matrix",
    "write_stream",
]

_GROUP_ROWS = 16_384  # rows of a row group: what a reader holds at once
_LINE_LIMIT = 1 << 20  # bytes of a receipt
_PARQUET, _STREAM = b"PAR1", b"\xff\xff\xff\xff"


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
    """Embeddings from a Parquet file, a folder of part-*.parquet, an Arrow stream or a receipt.

    `vouched` is the model that is said to have made a Parquet file which does not tell.
    `-` is standard input, which may hold a stream or a receipt. Raises DataError for anything that
    is not whole: schema, row count, page checksums; and for NaN or infinity, unless `allow_nan`.
    """
    embeddings = _from_stdin() if source == "-" else _from_path(Path(source), vouched)
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


def _from_stdin() -> Embeddings:
    if sys.stdin is None:
        raise DataError("standard input is closed")
    stream = sys.stdin.buffer
    start = stream.read(1)
    if not start:
        raise DataError("no records on standard input")
    if start == b"{":
        return _from_receipt(start + stream.readline(_LINE_LIMIT), "standard input")
    return read_stream("standard input", io.BufferedReader(_Rejoined(start, stream)))


class _Rejoined(io.RawIOBase):
    """A stream with the bytes that were taken from it to see what it holds put back."""

    def __init__(self, start: bytes, rest: BinaryIO) -> None:
        super().__init__()
        self.start, self.rest = start, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # the stub is wider
        data = self.start or self.rest.read(len(buffer))
        self.start = b""
        buffer[: len(data)] = data
        return len(data)


def _from_path(path: Path, vouched: ModelSpec | None) -> Embeddings:
    if path.is_dir():
        return read_parts(path, vouched)
    with open_regular(path) as file:
        start = file.readline(_LINE_LIMIT)
    return _from_receipt(start, str(path)) if start.startswith(b"{") else _from_file(path, vouched)


def _from_file(path: Path, vouched: ModelSpec | None = None) -> Embeddings:
    with open_regular(path) as file:
        start = file.read(4)
        file.seek(0)
        if start == _PARQUET:
            return read_parquet(path, vouched)
        if start == _STREAM:
            return read_stream(str(path), file)
    raise not_embeddings(path)


def _from_receipt(line: bytes, where: str) -> Embeddings:
    try:
        record: object = parse_json(line)
    except ValueError:
        record = None
    if not isinstance(record, dict) or record.get("schema") != ArtifactRecord.NAME:
        step = next_step("embeddings", kind_of(line), where)
        raise DataError(f"{where}: expected embeddings or the receipt of 'xmir embed'", step)
    if record.get("kind") != "embeddings" or not isinstance(record.get("path"), str):
        raise DataError(f"{where}: the receipt of {record.get('kind')!r} is not of embeddings")
    path = Path(str(record["path"]))
    found = _from_file(path)
    if record.get("sha256", told := sha256_file(path)) != told:
        raise DataError(
            f"{where}: {path} is another file than the receipt is of", "Name the file itself."
        )
    return found
