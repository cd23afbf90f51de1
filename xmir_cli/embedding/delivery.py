"""What was embedded goes into its file, or into the pipe."""

import sys
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from xmir_cli.console import Skips
from xmir_cli.embedding.places import OutputPlaces
from xmir_cli.errors import DataError
from xmir_cli.store.embedding_header import Header
from xmir_cli.store.embedding_writers import write_arrow, write_as
from xmir_cli.store.outputs import receipt, refuse_ending
from xmir_cli.wire.records import Record


def check_ending(file: Path, form: str) -> None:
    """Raise SettingError for a name that says the file is of another form."""
    if form == "arrow":
        refuse_ending(file, "an Arrow stream", [".arrows", ".arrow", ".ipc"])
    elif form == "parquet":
        other = {".npy": "npy", ".arrow": "arrow", ".arrows": "arrow"}.get(file.suffix.lower())
        hint = ": pandas, Polars and DuckDB read that"
        if other:
            hint = f", or write it with `file_format` {other}"
        refuse_ending(file, "Parquet", [".parquet", ".pq"], hint)


def deliver(
    places: OutputPlaces, header: Header, tables: Iterable[pa.Table], rows: int, skips: Skips
) -> list[Record]:
    """Write the tables, and give the receipt of a file; of a pipe there is none."""
    if places.file is None:
        _to_pipe(header, tables)
        return []
    write_as(places.file_format, places.file, header, tables)
    kind = "vectors" if places.file_format == "npy" else "embeddings"
    return [receipt(kind, places.file, (rows, header.dim or 0), skips.total)]  # by now


def _to_pipe(header: Header, tables: Iterable[pa.Table]) -> None:
    try:
        write_arrow(sys.stdout.buffer, header, tables)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise DataError(f"standard output: {(error.strerror or 'failed').lower()}") from None
