"""What an unfinished run has embedded, kept beside its output until that is written."""

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from xmir_cli.embedding.leftover import parts_folder
from xmir_cli.errors import DataError
from xmir_cli.pictures.items import Item
from xmir_cli.store.cells import Cell, to_column
from xmir_cli.store.embedding_table import COLUMNS, EMBEDDING, Embeddings
from xmir_cli.store.embeddings import read_embeddings, write_embeddings
from xmir_cli.store.features import FEATURE_COLUMN, Spool
from xmir_cli.store.names import escape_name
from xmir_cli.wire.columns import DECODED, PATIENT_HASH, TAG_COLUMNS
from xmir_cli.wire.model import ModelSpec

_TOLD = (*TAG_COLUMNS, DECODED)
_OWN = {"id", "path", "sha256", "width", "height", EMBEDDING}
PART_SECONDS = 10.0  # of work that a killed run may lose


@dataclass(frozen=True, eq=False)
class EmbeddedRow:
    """An image that was embedded."""

    sha256: str  # of the file
    width: int
    height: int
    vector: np.ndarray  # [D] float32
    columns: Mapping[str, str] = field(default_factory=dict)  # what the file itself tells
    features: int | None = None  # the number of its feature map in the spool


def to_embeddings(
    rows: Sequence[tuple[Item, EmbeddedRow]],
    columns: Sequence[str],
    model: ModelSpec,
    made: Mapping[str, str],
    spool: Spool | None = None,
) -> Embeddings:
    """The table of embedded images: the columns of the contract, then the manifest's others."""
    table: dict[str, Sequence[Cell | None]] = {
        "id": [item.id for item, _ in rows],
        "path": [item.path for item, _ in rows],
        "sha256": [row.sha256 for _, row in rows],
        "width": [row.width for _, row in rows],
        "height": [row.height for _, row in rows],
    }
    for name in _carried(rows, columns, spool is not None):
        # the manifest knows better than the file
        found = [item.columns.get(name) for item, _ in rows]
        table[escape_name(name)] = [
            row.columns.get(name) if value is None else value
            for value, (_, row) in zip(found, rows, strict=True)
        ]
    columns_of = {name: to_column(values) for name, values in table.items()}
    items = pa.table(
        {name: column.cast(COLUMNS.get(name, column.type)) for name, column in columns_of.items()}
    )
    vectors = np.stack([row.vector for _, row in rows])
    numbers = [row.features for _, row in rows if row.features is not None]
    features = None if spool is None else spool.take(numbers)
    return Embeddings(items, vectors, model, made, features)


def _carried(
    rows: Sequence[tuple[Item, EmbeddedRow]], columns: Sequence[str], features: bool
) -> Iterator[str]:
    """The columns beside the table's own: the contract's, the manifest's, the files'."""
    told = [name for name in _TOLD if any(name in row.columns for _, row in rows)]
    own = _OWN | {FEATURE_COLUMN} if features else _OWN
    names = dict.fromkeys(["label", "patient", "split", *columns, *told])
    return (name for name in names if name not in own)


def _told(columns: Mapping[str, str | None]) -> dict[str, str]:
    """Which of a row's columns its file told, not a manifest."""
    found = {name: value for name in _TOLD if (value := columns.get(name))}
    if not found.get("patient", "").startswith(PATIENT_HASH):
        found.pop("patient", None)
    return found


class Parts:
    """The rows of earlier runs that need not be made again, and the folder OUTPUT.parts.

    Without an output there is no folder: nothing is kept. With `features` a row is whole only
    when its feature map is there, too; the maps lie in `spool` until the output is written.
    """

    def __init__(
        self,
        output: Path | None,
        columns: Sequence[str],
        model: ModelSpec,
        made: Mapping[str, str],
        features: bool = False,
    ) -> None:
        self.spool = Spool(output and output.parent) if features else None
        self.keep = None if self.spool is None else self.spool.add
        self.output, self.columns, self.model, self.made = output, columns, model, made
        self.rows: dict[tuple[str, str], EmbeddedRow] = {}
        self.fresh: list[tuple[Item, EmbeddedRow]] = []
        self.written = time.monotonic()
        self.number = 0

    def recall(self) -> int:
        """Take up the rows of the output and of the parts that this model made; how many."""
        assert self.output is not None
        folder = parts_folder(self.output)
        parts = [] if folder.is_symlink() else sorted(folder.glob("part-*.parquet"))
        for path in [self.output, *parts]:
            with suppress(DataError):  # not there, or damaged: made again
                found = read_embeddings(str(path))
                if found.model.same_embedding(self.model) and dict(found.made) == dict(self.made):
                    self._take(found)
        self.number = len(parts)
        return len(self.rows)

    def find(self, path: str, sha256: str) -> EmbeddedRow | None:
        """The row of a file with these contents at this place, if an earlier run made it."""
        return self.rows.get((escape_name(path), sha256))

    def add(self, rows: Sequence[tuple[Item, EmbeddedRow]]) -> None:
        """Remember rows, the new ones on the disk from time to time."""
        self.fresh.extend(row for row in rows if self.find(row[0].path, row[1].sha256) is None)
        due = time.monotonic() - self.written >= PART_SECONDS
        if self.fresh and due and self.output is not None:
            folder = parts_folder(self.output)
            folder.mkdir(0o700, exist_ok=True)  # as the output may not be for all to read
            if folder.is_symlink():
                raise DataError(f"{folder}: a link, so nothing is written there")
            write_embeddings(folder / f"part-{self.number:06}.parquet", self.table(self.fresh))
            self.fresh, self.number, self.written = [], self.number + 1, time.monotonic()

    def table(self, rows: Sequence[tuple[Item, EmbeddedRow]]) -> Embeddings:
        """Rows as a table of embeddings."""
        return to_embeddings(rows, self.columns, self.model, self.made, self.spool)

    def remove(self) -> None:
        """The output is written, or everything is made again: the parts are of no more use."""
        if self.output is not None:
            folder = parts_folder(self.output)
            if folder.is_symlink():
                folder.unlink()
            shutil.rmtree(folder, ignore_errors=True)

    def _take(self, found: Embeddings) -> None:
        own = ["path", "sha256", "width", "height"]
        told = [name for name in _TOLD if name in found.items.column_names]
        items = found.items.select(own + told).to_pylist()
        numbers: list[int] | list[None] = [None] * len(items)
        if self.spool is not None:
            if found.features is None:
                return
            numbers = [self.spool.add(maps) for block in found.features.blocks() for maps in block]
        for item, vector, number in zip(items, found.vectors, numbers, strict=True):
            row = EmbeddedRow(
                item["sha256"], item["width"], item["height"], vector, _told(item), number
            )
            self.rows[item["path"], row.sha256] = row
