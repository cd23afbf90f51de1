"""The table of an embedding job: what was asked of each image, and what was made of it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from xmir_cli.pictures.items import Item
from xmir_cli.store.cells import Cell, column_type, to_column
from xmir_cli.store.embedding_header import COLUMNS, EMBEDDING
from xmir_cli.store.features import FEATURE_COLUMN
from xmir_cli.store.names import escape_name
from xmir_cli.store.row_files import TOLD

_OWN = {"id", "path", "sha256", "width", "height", EMBEDDING}
_FIRST = ("label", "patient", "split")


@dataclass
class Told:
    """Which columns the files of images tell, as far as their rows have come."""

    names: set[str] = field(default_factory=set)
    filled: set[str] = field(default_factory=set)  # those that fill gaps of what was asked

    def meet(self, item: Item, names: Collection[str]) -> None:
        """Take note of an image whose file tells these columns."""
        self.names.update(names)
        self.filled.update(name for name in names if item.columns.get(name) is None)


class AskedColumns:
    """What the items of a job bring, each column in the one type that all of its values have."""

    def __init__(self, items: Sequence[Item]) -> None:
        names = dict.fromkeys(name for item in items for name in item.columns)
        self._kinds = {
            name: column_type([item.columns.get(name) for item in items]) for name in names
        }

    def table(self, items: Sequence[Item], made: pa.Table, told: Told) -> pa.Table:
        """The rows of images as they are stored; `made` is what RowFiles gives of them.

        The contract's columns come first, then the manifest's others, then the files', then vector
        and feature map. A manifest knows better than a file.
        """
        columns: dict[str, pa.Array | pa.ChunkedArray] = {
            "id": to_column([item.id for item in items]),
            "path": to_column([item.path for item in items]),
            **{name: made[name] for name in ("sha256", "width", "height")},
        }
        own = _OWN | ({FEATURE_COLUMN} & set(made.column_names))
        for name in dict.fromkeys([*_FIRST, *self._kinds, *(n for n in TOLD if n in told.names)]):
            if name not in own:
                columns[escape_name(name)] = self._column(name, items, made, told)
        table = pa.table(columns)
        for name in (EMBEDDING, FEATURE_COLUMN):
            if name in made.column_names:
                table = table.append_column(made.schema.field(name), made[name])
        return table

    def _column(self, name: str, items: Sequence[Item], made: pa.Table, told: Told) -> pa.Array:
        values: list[Cell | None] = [item.columns.get(name) for item in items]
        kind = self._kinds.get(name, pa.string())
        if name in told.filled:
            kind = pa.string()
            values = [
                of_file if value is None else value
                for value, of_file in zip(values, made[name].to_pylist(), strict=True)
            ]
        return to_column(values, kind).cast(COLUMNS.get(name, kind))
