"""The columns of a Parquet file, and what stands in one of them."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
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


def column_values(path: Path, column: str, start: str, most: int) -> list[str]:
    """The first values of a column that begin with `start`, each once, sorted; not the empty one.

    There are none where there is no such column. The column is read only until there are `most`.
    Raises the same.
    """
    with open_regular(path) as file:
        table = pq.ParquetFile(file)
        names = table.schema_arrow.names
        if column not in names:
            return []
        found: set[str] = set()
        is_text = table.schema_arrow.field(column).type == pa.string()
        for group in range(table.metadata.num_row_groups):
            about = table.metadata.row_group(group).column(names.index(column))
            if not is_text or about.path_in_schema != column or _may_begin(about, start):
                values = table.read_row_group(group, columns=[column])[column].unique()
                found |= _beginning(values, start)
            if len(found) >= most:
                break
    return sorted(found)[:most]


def _beginning(values: pa.Array, start: str) -> set[str]:
    texts = pc.cast(values, pa.string())
    return {text for text in texts.filter(pc.starts_with(texts, start)).to_pylist() if text}


def _may_begin(about: pq.ColumnChunkMetaData, start: str) -> bool:
    """Whether a text between the first and the last of a group of rows may begin so."""
    found = about.statistics
    if found is None or not found.has_min_max:
        return True
    size, text = len(start.encode()), start.encode()
    return bool(found.min.encode()[:size] <= text <= found.max.encode()[:size])
