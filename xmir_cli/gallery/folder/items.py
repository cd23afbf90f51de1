"""The items of an index, read from their file only as far as they are asked for."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike

from xmir_cli.errors import DataError, is_starved
from xmir_cli.gallery.folder.manifest import AGAIN

_GROUP = 8192  # rows that lie together: they are read for the sake of one


@contextmanager
def items_writer(path: Path) -> Iterator[Callable[[pa.Table], None]]:
    """What takes the items, at least once; each of its pieces is cut into groups of rows."""
    with path.open("xb") as file, ExitStack() as stack:
        writers: list[pq.ParquetWriter] = []

        def write(items: pa.Table) -> None:
            if not writers:
                writer = pq.ParquetWriter(
                    file, items.schema, compression="zstd", write_page_checksum=True
                )
                writers.append(stack.enter_context(writer))
            # in one piece, for where pieces end shows in the bytes
            writers[0].write_table(items.combine_chunks(), row_group_size=_GROUP)

        yield write


def write_items(path: Path, items: pa.Table) -> None:
    """Write items that are in memory."""
    with items_writer(path) as write:
        write(items)


class Items:
    """A table of items [N]: its columns, and any of its rows.

    Once as many groups of rows were read as there are, the whole table is held.

    Raises DataError, here and when it is read, for a file that cannot be.
    """

    def __init__(self, path: Path, index: str = "") -> None:
        """`path` is the file, `index` what its index is called."""
        self._index = index or str(path.parent)
        self._file: pq.ParquetFile = self._guard(
            lambda: pq.ParquetFile(path, page_checksum_verification=True)
        )
        about = self._file.metadata
        counts = [about.row_group(group).num_rows for group in range(about.num_row_groups)]
        self._ends = np.cumsum(counts, dtype=np.int64)
        self._columns: dict[str, pa.ChunkedArray] = {}
        self._whole: pa.Table | None = None
        self._read = 0  # groups

    def __len__(self) -> int:
        return int(self._file.metadata.num_rows)

    @property
    def column_names(self) -> list[str]:
        """The names of the columns."""
        names: list[str] = self._file.schema_arrow.names
        return names

    def __getitem__(self, column: str) -> pa.ChunkedArray:
        """A column [N]."""
        if self._whole is not None:
            return self._whole[column]
        if column not in self._columns:
            found = self._guard(lambda: self._file.read(columns=[column]))
            self._columns[column] = found[column]
        return self._columns[column]

    def table(self) -> pa.Table:
        """All of them."""
        if self._whole is None:
            self._whole = self._guard(self._file.read)
            self._columns = {}
        return self._whole

    def take(self, rows: ArrayLike) -> pa.Table:
        """The rows of these numbers, in their order."""
        wanted = np.asarray(rows, dtype=np.int64)
        groups, which = np.unique(
            np.searchsorted(self._ends, wanted, side="right"), return_inverse=True
        )
        self._read += len(groups)
        if self._whole is not None or self._read > len(self._ends):
            return self.table().take(pa.array(wanted))
        lengths = np.diff(self._ends, prepend=0)[groups]
        starts = self._ends[groups] - lengths  # in the file
        places = np.cumsum(lengths) - lengths  # among what is read
        found = self._guard(lambda: self._file.read_row_groups(groups.tolist()))
        return found.take(pa.array(wanted - starts[which] + places[which]))

    def _guard(self, read: Callable[[], pa.Table]) -> pa.Table:
        try:
            return read()
        except (pa.ArrowException, EOFError, OSError, ValueError) as error:
            if is_starved(error):
                raise MemoryError from None
            raise DataError(f"{self._index}: damaged index (not to be read)", AGAIN) from None
