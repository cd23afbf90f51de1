"""The items of an index, read from their file only as far as they are asked for."""

from collections.abc import Callable, Iterator, Sequence
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

    @property
    def schema(self) -> pa.Schema:
        """The names and the types of the columns."""
        return self._file.schema_arrow

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

    def take(self, rows: ArrayLike, names: Sequence[str] | None = None) -> pa.Table:
        """The rows of these numbers, in their order, with the columns `names` (None: all)."""
        wanted = np.asarray(rows, dtype=np.int64)
        which = np.searchsorted(self._ends, wanted, side="right")
        groups = np.unique(which)
        self._read += len(groups)
        columns = None if names is None else list(names)
        if self._whole is not None or self._read > len(self._ends):
            whole = self.table() if columns is None else self.table().select(columns)
            return whole.take(pa.array(wanted))
        order = np.argsort(which, kind="stable")
        ends = np.searchsorted(which[order], groups, side="right")
        found = [
            self._read_group(int(group), columns).take(pa.array(wanted[each] - self._start(group)))
            for group, each in zip(groups, np.split(order, ends), strict=False)
        ]
        together = pa.concat_tables(found) if found else self._nothing(columns)
        return together.take(pa.array(np.argsort(order, kind="stable")))

    def scan(
        self, column: str, texts: Sequence[str] | None = None
    ) -> Iterator[tuple[int, pa.ChunkedArray]]:
        """The column a group of rows at a time, and where it starts; nothing of it is held.

        With `texts` only the groups in which one of them may be.
        """
        if self._whole is not None or column in self._columns:
            yield 0, self[column]
            return
        for group in range(len(self._ends)):
            if texts is None or self._may_hold(group, column, texts):
                yield self._start(group), self._read_group(group, [column])[column]

    def pieces(self, size: int, names: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """All rows, `size` at a time, with the columns `names` (None: all); none of it is held.

        Whoever asks for all of them at once holds them, and they are held here, too.
        """
        if size >= len(self) or self._whole is not None:
            table = self.table() if names is None else self._held(names)
            yield from (table[start : start + size] for start in range(0, len(self), size))
            return
        columns = None if names is None else list(names)
        held: list[pa.Table] = []
        count = 0
        for group in range(len(self._ends)):
            held.append(self._read_group(group, columns))
            count += len(held[-1])
            if count >= size:
                table = pa.concat_tables(held)
                start = count // size * size
                yield from (table[first : first + size] for first in range(0, start, size))
                held, count = [table[start:]], count - start
        if count:
            yield pa.concat_tables(held)

    def _held(self, names: Sequence[str]) -> pa.Table:
        return pa.table({name: self[name] for name in names})

    def _read_group(self, group: int, names: list[str] | None) -> pa.Table:
        return self._guard(lambda: self._file.read_row_group(group, columns=names))

    def _start(self, group: int) -> int:
        return int(self._ends[group - 1]) if group else 0

    def _nothing(self, names: list[str] | None) -> pa.Table:
        schema = self._file.schema_arrow.empty_table()
        return schema if names is None else schema.select(names)

    def _may_hold(self, group: int, column: str, texts: Sequence[str]) -> bool:
        """Whether one of the texts lies between the first and the last of a group."""
        if self._file.schema_arrow.field(column).type != pa.string():
            return True
        about = self._file.metadata.row_group(group)
        found = about.column(self._file.schema_arrow.names.index(column)).statistics
        if found is None or not found.has_min_max:
            return True
        first, last = found.min.encode(), found.max.encode()
        return any(first <= text.encode() <= last for text in texts)

    def _guard(self, read: Callable[[], pa.Table]) -> pa.Table:
        try:
            return read()
        except (pa.ArrowException, EOFError, OSError, ValueError) as error:
            if is_starved(error):
                raise MemoryError from None
            raise DataError(f"{self._index}: damaged index (not to be read)", AGAIN) from None
