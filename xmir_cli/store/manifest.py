"""Manifests: tables of images in CSV, TSV or Parquet; every value is text, empty is None."""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from xmir_cli.errors import DataError
from xmir_cli.store.names import restore_name
from xmir_cli.store.regular import open_regular

ManifestRow = dict[str, str | None]

_LIMIT = 256 << 20  # bytes of a text manifest
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_COMPUTED = {"sha256", "width", "height", "embedding"}  # an embeddings file's own columns


def is_manifest(name: str) -> bool:
    """Whether a file is to be read as a table of images, by its extension."""
    return Path(name).suffix.lower() in {*_DELIMITERS, ".parquet"}


def read_table(path: Path) -> list[ManifestRow]:
    """The rows of a manifest; each has a `path`.

    Raises DataError, naming the line, for a file that is no table with a `path` column.
    """
    if path.suffix.lower() == ".parquet":
        return list(_parquet_rows(path))
    with open_regular(path) as file:
        if file.seek(0, 2) > _LIMIT:
            raise DataError(f"{path}: larger than {_LIMIT >> 20} MB", "Store it as Parquet.")
        file.seek(0)
        lines = (line.decode("utf-8-sig", "surrogateescape") for line in file)
        try:
            return list(_text_rows(path, lines))
        except csv.Error as error:
            raise DataError(f"{path}: not a table ({error})") from None


def _text_rows(path: Path, lines: Iterable[str]) -> Iterator[ManifestRow]:
    reader = csv.reader(lines, delimiter=_DELIMITERS[path.suffix.lower()])
    header = [name.strip() for name in next(reader, [])]
    _check_columns(path, header)
    for cells in reader:
        if not cells:
            continue
        if len(cells) != len(header):
            raise DataError(
                f"{path}: line {reader.line_num}: expected {len(header)} values, found {len(cells)}"
            )
        row: ManifestRow = {name: cell or None for name, cell in zip(header, cells, strict=True)}
        if row["path"] is None:
            raise DataError(f"{path}: line {reader.line_num}: path: expected a file, found nothing")
        yield row


def _parquet_rows(path: Path) -> Iterator[ManifestRow]:
    with open_regular(path) as file:
        try:
            parquet = pq.ParquetFile(file, page_checksum_verification=True)
            names = [name for name in parquet.schema_arrow.names if name not in _COMPUTED]
            _check_columns(path, names)
            own = b"xmir.schema" in (parquet.schema_arrow.metadata or {})
            for batch in parquet.iter_batches(columns=names, use_threads=False):
                rows = _batch_rows(path, batch)
                yield from map(_restored, rows) if own else rows
        except (pa.ArrowException, OSError, ValueError):
            raise DataError(f"{path}: not a readable Parquet file") from None


def _batch_rows(path: Path, batch: pa.RecordBatch) -> Iterator[ManifestRow]:
    columns = []
    for field, column in zip(batch.schema, batch.columns, strict=True):
        try:
            columns.append(column.cast(pa.string()).to_pylist())
        except pa.ArrowException:
            raise DataError(f"{path}: column {field.name}: {field.type} is not text") from None
    for values in zip(*columns, strict=True):
        row = dict(zip(batch.schema.names, (value or None for value in values), strict=True))
        if row["path"] is None:
            raise DataError(f"{path}: path: expected a file, found nothing")
        yield row


def _restored(row: ManifestRow) -> ManifestRow:
    return {name: value and restore_name(value) for name, value in row.items()}


def _check_columns(path: Path, names: list[str]) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{path}: two columns are named {twice!r}")
    if "path" not in names:
        found = ", ".join(names[:10]) or "nothing"
        raise DataError(f"{path}: expected a column 'path', found {found}")
