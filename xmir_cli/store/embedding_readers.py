"""Reading embeddings tables with nothing taken on trust: sizes first, checksums, whole or not.

What is read lies in a Parquet file, in a folder of such parts or in a stream of Arrow; a block of
it is in memory at a time.
"""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from xmir_cli import console
from xmir_cli.errors import DataError
from xmir_cli.store.embedding_header import EMBEDDING, check_schema
from xmir_cli.store.embedding_source import even_blocks
from xmir_cli.store.embedding_table import RowBlock, check_items, items_schema
from xmir_cli.store.features import (
    FEATURE_COLUMN,
    KIND,
    FeatureMaps,
    Shape,
    block_rows,
    maps_of,
)
from xmir_cli.store.footer import check_footer
from xmir_cli.store.kinds import called, find_kind, next_step
from xmir_cli.store.regular import open_regular
from xmir_cli.store.rewritten import read_vectors
from xmir_cli.store.shards import Shard
from xmir_cli.wire.model import ModelSpec

READ_ERRORS = (pa.ArrowException, OSError, ValueError, MemoryError, OverflowError)
_DAMAGED = "damaged or not a Parquet file"
_BATCH = 2_048  # rows read at once; more are slower
_BUFFER = 1 << 20  # bytes read at once of a column, however large a group of rows is
_SHRINKS = 20  # how many times smaller compression may make vectors and maps
_HARMLESS = 16 << 20  # bytes that may come out of any file


@dataclass(frozen=True)
class Counted:
    """What a Parquet file of embeddings holds."""

    rows: int
    dim: int
    model: ModelSpec
    made: Mapping[str, str]
    features: Shape | None  # of the feature maps, where there are any
    shard: Shard | None = None  # of a job that several processes share
    job: str = ""  # which one


@dataclass(frozen=True)
class ParquetSource:
    """A Parquet file of embeddings; an `EmbeddingSource`."""

    path: Path
    found: Counted
    schema: pa.Schema  # of the items
    mark: tuple[int, ...]  # by which a file that takes its place is known

    @property
    def shard(self) -> Shard | None:
        """Which shard of a job it is."""
        return self.found.shard

    @property
    def job(self) -> str:
        """Of which job."""
        return self.found.job

    @property
    def rows(self) -> int:
        """How many there are."""
        return self.found.rows

    @property
    def dim(self) -> int:
        """The length D of the vectors."""
        return self.found.dim

    @property
    def model(self) -> ModelSpec:
        """What made them."""
        return self.found.model

    @property
    def made(self) -> Mapping[str, str]:
        """Precision and the like."""
        return self.found.made

    @property
    def features(self) -> FeatureMaps | None:
        """The last feature maps."""
        shape = self.found.features
        return None if shape is None else FeatureMaps(shape, self._maps)

    def blocks(self, size: int, names: Sequence[str] | None = None) -> Iterator[RowBlock]:
        """The rows, as `EmbeddingSource` says."""
        wanted = self.schema.names if names is None else list(names)
        where = str(self.path)
        batches = self._batches(min(size, _BATCH), [*wanted, EMBEDDING])
        each = to_blocks(where, batches, self.dim, wanted, _DAMAGED)
        return even_blocks(each, size) if self.rows else each

    def columns(self, size: int, names: Sequence[str]) -> Iterator[pa.Table]:
        """Columns as the file has them, without the vectors, up to `size` rows at a time."""
        for batch in self._batches(size, names):
            yield pa.table(batch)

    def _maps(self) -> Iterator[np.ndarray]:
        assert self.found.features is not None
        shape = self.found.features
        for part in self._batches(min(_BATCH, block_rows(shape)), [FEATURE_COLUMN]):
            yield maps_of(str(self.path), part.column(FEATURE_COLUMN), shape)

    def _batches(self, size: int, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Those of the columns that the file has, a batch after the other."""
        with open_regular(self.path) as file, _damage(self.path):
            if _mark(file) != self.mark:
                raise DataError(f"{self.path}: has changed while it was read")
            # a flipped bit in a page goes unnoticed without the checksums
            parquet = pq.ParquetFile(
                file, page_checksum_verification=True, buffer_size=_BUFFER, pre_buffer=False
            )
            there = [name for name in names if name in parquet.schema_arrow.names]
            left = self.rows
            for batch in parquet.iter_batches(size, columns=there, use_threads=False):
                left -= len(batch)
                yield batch
            if left:  # a page was passed over
                raise ValueError
            if not self.rows:
                yield empty_batch(parquet.schema_arrow, there)


def open_parquet(path: Path, vouched: ModelSpec | None = None) -> ParquetSource:
    """One Parquet file; raises DataError when it is not embeddings, or a bomb.

    `vouched` is the model that is said to have made it, should the file not tell.
    """
    with open_regular(path) as file, _damage(path):
        check_footer(file)
        parquet = pq.ParquetFile(file, page_checksum_verification=True)
        found = _count(path, file, parquet, vouched)
        items = items_schema(str(path), parquet.schema_arrow, found.features is not None)
        return ParquetSource(path, found, items, _mark(file))


def empty_batch(schema: pa.Schema, names: Sequence[str]) -> pa.RecordBatch:
    """No rows of those columns."""
    fields = [schema.field(name) for name in names]
    return pa.RecordBatch.from_arrays(
        [pa.array([], field.type) for field in fields], schema=pa.schema(fields)
    )


def to_blocks(
    where: str, batches: Iterator[pa.RecordBatch], dim: int, names: Sequence[str], damage: str
) -> Iterator[RowBlock]:
    """Rows of a table as they were read, checked and in the types of the contract.

    What they cannot be brought into is `damage`.
    """

    def count_more(name: str) -> int:
        return sum(batch.column(name).null_count for batch in batches)

    start = 0
    try:
        for batch in batches:
            vectors = read_vectors(where, batch.column(EMBEDDING), dim, start)
            items = pa.table(batch.drop_columns([EMBEDDING]))
            items = check_items(where, items, count_more).select(names)
            yield RowBlock(items, np.ascontiguousarray(vectors, np.float32))
            start += len(batch)
    except READ_ERRORS:
        raise DataError(f"{where}: {damage}") from None


def _mark(file: BinaryIO) -> tuple[int, ...]:
    found = os.fstat(file.fileno())
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """What goes wrong while a file is read is damage."""
    try:
        yield
    except READ_ERRORS:
        raise DataError(f"{path}: {_DAMAGED}") from None


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
    return Counted(rows, dim, header.model, header.made, header.features, header.shard, header.job)


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
