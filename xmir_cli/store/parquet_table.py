"""Parquet files as tables of images: columns keep their types, what is no cell is left out."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from xmir_cli import console
from xmir_cli.errors import DataError
from xmir_cli.store.cells import Cell, is_flat, name_kind, read_cells
from xmir_cli.store.features import FEATURE_COLUMN
from xmir_cli.store.names import restore_name
from xmir_cli.store.regular import open_regular

_COMPUTED = {"sha256", "width", "height", "embedding"}  # an embeddings file's own columns

Cells = list[Cell | list[object] | None]


def read_columns(path: Path, listed: str) -> dict[str, Cells]:
    """The columns of a Parquet file by name, without lists, structs and bytes, which are named.

    The column of labels, `listed`, may hold lists of texts. Raises DataError for a file that is
    none, and for two columns of one name.
    """
    with open_regular(path) as file:
        try:
            parquet = pq.ParquetFile(file, page_checksum_verification=True)
            schema = parquet.schema_arrow
            own = b"xmir.schema" in (schema.metadata or {})
            known = _COMPUTED | {FEATURE_COLUMN} if own else _COMPUTED
            fields = [field for field in schema if field.name not in known]
            _refuse_twice(path, [field.name for field in fields])
            names = [each.name for each in fields if _is_usable(each, listed)]
            _say_left_out(path, [field for field in fields if field.name not in names])
            columns: dict[str, Cells] = {name: [] for name in names}
            for batch in parquet.iter_batches(columns=names, use_threads=False) if names else ():
                for name in names:
                    columns[name].extend(_read(batch.column(name), own))
        except (pa.ArrowException, OSError, ValueError):
            raise DataError(f"{path}: not a readable Parquet file") from None
    return columns


def _is_usable(field: pa.Field, listed: str) -> bool:
    kind = field.type
    if (
        (field.name == listed or field.name.casefold() == "label")
        and pa.types.is_nested(kind)
        and not pa.types.is_struct(kind)
    ):
        return kind.num_fields == 1 and is_flat(kind.field(0).type)
    return is_flat(kind)


def _read(column: pa.Array, own: bool) -> Iterator[Cell | list[object] | None]:
    if pa.types.is_nested(column.type):
        yield from column.to_pylist()
        return
    for value in read_cells(column):
        yield restore_name(value) if own and isinstance(value, str) else value


def _refuse_twice(path: Path, names: Sequence[str]) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{path}: two columns are named {twice!r}")


def _say_left_out(path: Path, fields: Sequence[pa.Field]) -> None:
    if fields:
        named = ", ".join(f"{field.name} ({name_kind(field.type)})" for field in fields)
        console.note(f"{path}: left out {named}: only texts, numbers and dates are kept")
