"""Rows of embeddings that lie in several files, fetched by their places and nothing beside them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from xmir_cli.errors import DataError
from xmir_cli.store.cells import keep_where, to_plain
from xmir_cli.store.embedding_header import EMBEDDING, Header, check_schema
from xmir_cli.store.embedding_readers import READ_ERRORS, open_parquet
from xmir_cli.store.embedding_table import SUM, column_of_vectors, hash_batch
from xmir_cli.store.features import FEATURE_COLUMN, KIND, column_of, maps_of
from xmir_cli.store.regular import open_regular
from xmir_cli.store.rewritten import read_vectors
from xmir_cli.wire.columns import DECODED, PATIENT_HASH, TAG_COLUMNS

TOLD = (*TAG_COLUMNS, DECODED)  # columns that the file of an image tells
_MADE = {"sha256": pa.string(), "width": pa.int32(), "height": pa.int32()}
_STREAM = b"\xff\xff\xff\xff"
_ROW_BITS = 40  # of a place; above them stands the number of the file


class RowSource(Protocol):
    """Rows in groups that are read one at a time."""

    where: str
    starts: np.ndarray  # [G + 1] the first row of each group, then how many there are

    def read(self, group: int) -> pa.Table: ...


class HeldRows:
    """Rows in memory, or in a file that is mapped into it."""

    def __init__(self, where: str, table: pa.Table) -> None:
        self.where, self._batches = where, table.to_batches()
        self.starts = _starts([len(batch) for batch in self._batches])

    def read(self, group: int) -> pa.Table:
        """The rows of a batch."""
        return pa.Table.from_batches([self._batches[group]])


class ParquetRows:
    """Rows in a Parquet file, which is open only while it is read."""

    def __init__(self, path: Path) -> None:
        self.where, self._path = str(path), path
        with open_regular(path) as file:
            about = pq.ParquetFile(file)
            counts = [about.metadata.row_group(n).num_rows for n in range(about.num_row_groups)]
            self._wanted = [
                name
                for name in (*_MADE, "path", *TOLD, EMBEDDING, FEATURE_COLUMN)
                if name in about.schema_arrow.names
            ]
        self.starts = _starts(counts)

    def read(self, group: int) -> pa.Table:
        """The rows of a row group; raises DataError when it is damaged."""
        with open_regular(self._path) as file:
            try:
                parquet = pq.ParquetFile(file, page_checksum_verification=True)
                found = parquet.read_row_group(group, self._wanted, use_threads=False)
                if len(found) != self.starts[group + 1] - self.starts[group]:
                    raise ValueError
            except READ_ERRORS:
                raise DataError(f"{self._path}: damaged or not a Parquet file") from None
        return found


def open_rows(path: Path) -> tuple[Header, RowSource]:
    """What a Parquet file or an Arrow stream of embeddings promises, and its rows.

    Raises DataError for anything else. Of a stream all is compared with its checksums.
    """
    with open_regular(path) as file:
        start = file.read(4)
    if start == _STREAM:
        return _map_stream(path)
    found = open_parquet(path).found
    header = Header(found.rows, found.dim, found.model, found.made, found.features)
    return header, ParquetRows(path)


def _map_stream(path: Path) -> tuple[Header, RowSource]:
    try:
        reader = pa.ipc.open_stream(pa.memory_map(str(path)))
        header = check_schema(str(path), reader.schema)
        batches = []
        for batch, told in reader.iter_batches_with_custom_metadata():
            if header.summed and (told or {}).get(SUM) != hash_batch(batch).encode():
                raise ValueError
            batches.append(batch)
        table = pa.Table.from_batches(batches, reader.schema)
    except READ_ERRORS:
        raise DataError(f"{path}: damaged or cut Arrow stream") from None
    if len(table) != header.rows:
        raise DataError(f"{path}: expected {header.rows} rows, found {len(table)}")
    return header, HeldRows(str(path), table)


def _starts(counts: Sequence[int]) -> np.ndarray:
    return np.cumsum([0, *counts], dtype=np.int64)


class RowFiles:
    """What was made of images, whichever file it lies in: a place is a file and a row of it."""

    def __init__(self, header: Header) -> None:
        """All rows are of vectors and maps as the header says; other columns are not kept."""
        self._header = header
        self._sources: list[RowSource] = []
        self._last: tuple[tuple[int, int], pa.Table] | None = None

    def __len__(self) -> int:
        return len(self._sources)

    def add(self, source: RowSource) -> np.ndarray:
        """Take up a source; the places of its rows."""
        self._sources.append(source)
        return self.place(len(self._sources) - 1, 0) + np.arange(source.starts[-1])

    @staticmethod
    def place(number: int, row: int) -> int:
        """The place of a row in the file that came as this number."""
        return (number << _ROW_BITS) + row

    def fetch(self, places: np.ndarray) -> pa.Table:
        """What was made of the images at these places [N], in their order, all in one piece."""
        if not len(places):
            return _none_made(self._header)
        order = np.argsort(places, kind="stable")
        numbers, rows = places[order] >> _ROW_BITS, places[order] & ((1 << _ROW_BITS) - 1)
        pieces = []
        for number in np.unique(numbers):
            mine, starts = rows[numbers == number], self._sources[number].starts
            groups = np.searchsorted(starts, mine, side="right") - 1
            for group in np.unique(groups):
                here = mine[groups == group] - starts[group]
                pieces.append(_take(self._read(int(number), int(group)), here))
        table = pa.concat_tables(pieces).combine_chunks()
        if (order[1:] > order[:-1]).all():
            return table
        return table.take(pa.array(np.argsort(order, kind="stable"))).combine_chunks()

    def _read(self, number: int, group: int) -> pa.Table:
        if self._last is None or self._last[0] != (number, group):
            self._last = None  # before the next one is read
            source = self._sources[number]
            self._last = (number, group), to_made(source.where, source.read(group), self._header)
        return self._last[1]


def to_made(where: str, table: pa.Table, header: Header) -> pa.Table:
    """The columns of what was made of images: hash, size, what the file tells, vector and map.

    Raises DataError for vectors or maps that are missing, of another length, NaN or infinite.
    """
    assert header.dim is not None
    columns = {name: pc.cast(to_plain(table[name]), kind) for name, kind in _MADE.items()}
    for name in TOLD:
        there = name in table.column_names
        column = pc.cast(to_plain(table[name]), pa.string()) if there else None
        columns[name] = pa.nulls(len(table), pa.string()) if column is None else column
    own = pc.starts_with(columns["patient"], PATIENT_HASH)  # else a manifest told it
    columns["patient"] = keep_where(own, columns["patient"])
    made = pa.table(columns)
    vectors = read_vectors(where, _whole(table[EMBEDDING]), header.dim)
    if not np.isfinite(vectors).all():
        raise DataError(f"{where}: column {EMBEDDING}: NaN or infinity")
    made = made.append_column(*column_of_vectors(vectors))
    if header.features is None:
        return made
    return made.append_column(*column_of(maps_of(where, table[FEATURE_COLUMN], header.features)))


def _none_made(header: Header) -> pa.Table:
    """The same of no images."""
    assert header.dim is not None
    kinds = {**_MADE, **dict.fromkeys(TOLD, pa.string())}
    made = pa.table({name: pa.nulls(0, kind) for name, kind in kinds.items()})
    made = made.append_column(*column_of_vectors(np.empty((0, header.dim), np.float32)))
    if header.features is None:
        return made
    return made.append_column(*column_of(np.empty((0, *header.features), KIND)))


def _whole(column: pa.ChunkedArray) -> pa.Array:
    found = column.combine_chunks()
    return found if isinstance(found, pa.Array) else pa.concat_arrays(found.chunks)


def _take(table: pa.Table, rows: np.ndarray) -> pa.Table:
    """Rows in rising order."""
    first, last = int(rows[0]), int(rows[-1])
    if last - first + 1 == len(rows):
        return table.slice(first, len(rows))
    return table.take(pa.array(rows))
