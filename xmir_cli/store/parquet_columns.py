"""The columns of a Parquet file, and what stands in one of them."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from xmir_cli.store.regular import open_regular

_SIZES = {"width", "height"}


def flat_columns(path: Path) -> list[str]:
    """The names of the columns of texts, numbers and dates, but for the sizes of images.

    Raises OSError or ValueError for no Parquet file.
    """
    with open_regular(path) as file:
        schema = pq.read_schema(file)
    return [
        field.name
        for field in schema
        if field.name not in _SIZES
        and not (pa.types.is_nested(field.type) or "binary" in str(field.type))
    ]


def column_values(path: Path, column: str) -> list[str]:
    """The values of a column, each once, sorted, without empty ones; raises the same.

    There are none where there is no such column.
    """
    with open_regular(path) as file:
        table = pq.ParquetFile(file)
        if column not in table.schema_arrow.names:
            return []
        found = table.read(columns=[column])[column].unique().to_pylist()
    return sorted(str(value) for value in found if value is not None and value != "")
