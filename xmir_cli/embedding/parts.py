"""What a job has embedded, on the disk as it comes: memory holds two numbers of each row."""

import os
import shutil
import tempfile
import time
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from xmir_cli.embedding.columns import AskedColumns, Told
from xmir_cli.embedding.known import KnownRow, KnownRows
from xmir_cli.errors import DataError, ItemError
from xmir_cli.pictures.items import Item
from xmir_cli.store import temporaries
from xmir_cli.store.embedding_header import Header
from xmir_cli.store.embedding_table import column_of_vectors
from xmir_cli.store.embedding_writers import group_rows, write_parquet
from xmir_cli.store.features import column_of
from xmir_cli.store.row_files import TOLD, HeldRows, ParquetRows, RowFiles, open_rows, to_made
from xmir_cli.store.unfinished import parts_folder

PART_SECONDS = 10.0  # of work that a killed run may lose


@dataclass(frozen=True, eq=False)
class EmbeddedRow:
    """An image that was embedded."""

    sha256: str  # of the file
    width: int
    height: int
    vector: np.ndarray  # [D] float32
    columns: Mapping[str, str] = field(default_factory=dict)  # what the file itself tells
    features: np.ndarray | None = None  # its feature map [C, h, w] float16, where it is kept


def to_table(rows: Sequence[EmbeddedRow]) -> pa.Table:
    """What was made of images, as RowFiles takes it."""
    columns: dict[str, pa.Array] = {
        "sha256": pa.array([row.sha256 for row in rows], pa.string()),
        "width": pa.array([row.width for row in rows], pa.int32()),
        "height": pa.array([row.height for row in rows], pa.int32()),
        **{name: pa.array([row.columns.get(name) for row in rows], pa.string()) for name in TOLD},
    }
    table = pa.table(columns).append_column(
        *column_of_vectors(np.stack([row.vector for row in rows]))
    )
    maps = [row.features for row in rows if row.features is not None]
    return table.append_column(*column_of(np.stack(maps))) if maps else table


class Parts:
    """The rows of a job in the order of its items, and the folder that keeps them on the way.

    That is OUTPUT.parts, from which another run goes on; without an output it is a nameless one.
    A part is a table like the output, of rows that came one after the other.
    """

    def __init__(self, output: Path | None, items: Sequence[Item], header: Header) -> None:
        """The header says what made the rows, how long their vectors are, and their maps' shape."""
        self.output, self._items, self._header = output, items, header
        self._columns, self._told = AskedColumns(items), Told()
        self._files, self._known = RowFiles(header), KnownRows()
        self._kept, self._places = array("q"), array("q")  # numbers of items, and of their rows
        self._fresh: list[tuple[int, EmbeddedRow]] = []  # the same, not on the disk yet
        self._folder: Path | None = None if output is None else parts_folder(output)
        self._lock: int | None = None  # of a nameless folder
        self._number, self.written = 0, time.monotonic()
        self._group = group_rows(header)

    def __len__(self) -> int:
        return len(self._kept)

    def recall(self) -> int:
        """Find the rows of the output and of the parts that this model made; how many."""
        assert self.output is not None
        folder = parts_folder(self.output)
        parts = [] if folder.is_symlink() else sorted(folder.glob("part-*.parquet"))
        for path in [self.output, *parts]:
            with suppress(DataError):  # not there, or damaged: made again
                self._recall(path)
        self._known.sort()
        self._number = len(parts)
        return len(self._known)

    def _recall(self, path: Path) -> None:
        found, source = open_rows(path)
        mine = self._header
        if not found.model.same_embedding(mine.model) or dict(found.made) != dict(mine.made):
            return
        if mine.features is not None and found.features != mine.features:
            return
        places, entries = self._files.add(source), []
        for group, start in enumerate(source.starts[:-1]):
            table = source.read(group)
            made, paths = to_made(str(path), table, mine), table["path"].to_pylist()
            try:
                here = places[start : start + len(table)]
                entries.append(self._known.entries(paths, made, here))
            except ValueError:
                raise DataError(f"{path}: sha256: expected 64 hexadecimal digits") from None
        self._known.add(entries)  # a file that is damaged somewhere is left alone

    def find(self, path: str) -> KnownRow | None:
        """The row of the image at this path, if an earlier run made it."""
        return self._known.find(path)

    def add(self, first: int, slot: Sequence[EmbeddedRow | KnownRow | ItemError]) -> None:
        """Take up what became of the items from `first` on; from time to time to the disk."""
        for number, row in enumerate(slot, first):
            if isinstance(row, ItemError):
                continue
            self._kept.append(number)
            if isinstance(row, KnownRow):
                self._places.append(row.place)
                self._told.meet(self._items[number], row.told)
            else:
                self._places.append(self._files.place(len(self._files), len(self._fresh)))
                self._told.meet(self._items[number], row.columns)
                self._fresh.append((number, row))
        due = self.output is not None and time.monotonic() - self.written >= PART_SECONDS
        if self._fresh and (due or len(self._fresh) >= self._group):
            self._write()

    def _write(self) -> None:
        """Write a part of the rows that are held."""
        path = self._make_folder() / f"part-{self._number:06}.parquet"
        items = [self._items[number] for number, _ in self._fresh]
        table = self._columns.table(items, self._take_fresh(), self._told)
        write_parquet(path, replace(self._header, rows=len(table)), [table])
        self._files.add(ParquetRows(path))
        self._number, self.written = self._number + 1, time.monotonic()

    def _take_fresh(self) -> pa.Table:
        made = to_table([row for _, row in self._fresh])
        self._fresh = []
        return made

    def _make_folder(self) -> Path:
        if self._folder is None:
            self._folder, self._lock = temporaries.make_folder(Path(tempfile.gettempdir()) / "xmir")
        self._folder.mkdir(0o700, exist_ok=True)  # as the output may not be for all to read
        if self._folder.is_symlink():
            raise DataError(f"{self._folder}: a link, so nothing is written there")
        return self._folder

    @property
    def header(self) -> Header:
        """What the whole table promises."""
        return replace(self._header, rows=len(self))

    def tables(self) -> Iterator[pa.Table]:
        """The rows in the order of their items, as many at once as a row group has."""
        if self._fresh:
            self._files.add(HeldRows("memory", self._take_fresh()))
        kept, places = np.frombuffer(self._kept, np.int64), np.frombuffer(self._places, np.int64)
        for start in range(0, max(1, len(kept)), self._group):
            these = slice(start, start + self._group)
            items = [self._items[number] for number in kept[these]]
            yield self._columns.table(items, self._files.fetch(places[these]), self._told)

    def remove(self) -> None:
        """The output is written, or everything is made again: the parts are of no more use."""
        if self._folder is not None:
            if self._folder.is_symlink():
                self._folder.unlink()
            shutil.rmtree(self._folder, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
