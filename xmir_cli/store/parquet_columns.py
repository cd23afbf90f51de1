"""The columns of a Parquet file, and what stands in one of them."""

from pathlib import Path

import pyarrow.parquet as pq


def text_columns(path: Path) -> list[str]:
    """The names of the columns of texts; raises OSError or ValueError for no Parquet file."""
    schema = pq.read_schema(path)
    return [field.name for field in schema if str(field.type) in {"string", "large_string"}]


def column_values(path: Path, column: str) -> list[str]:
    """The values of a column, each once, sorted, without empty ones; raises the same.

    There are none where there is no such column.
    """
    if column not in pq.read_schema(path).names:
        return []
    found = pq.read_table(path, columns=[column])[column].unique().to_pylist()
    return sorted(str(value) for value in found if value)
