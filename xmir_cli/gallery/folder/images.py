"""Which rows of an index folder are which items, show which image, and have which values."""

from collections.abc import Sequence

import numpy as np

from xmir_cli.arrays import Integers
from xmir_cli.gallery.folder.items import Items
from xmir_cli.gallery.folder.lookups import LabelLookup, Lookup
from xmir_cli.labels import LABEL
from xmir_cli.pictures.identity import identity_of, split_name


class Images:
    """The rows of images, by their identities: the hash of a file and which of its pictures."""

    def __init__(self, items: Items) -> None:
        self._items = items
        self._named: dict[str, Lookup | LabelLookup] = {}

    def rows_with(self, column: str, values: Sequence[object]) -> list[Integers]:
        """For each value the rows that have it in the column, in order; none of nothing.

        Of labels those that share one with it. What has the same rows has the same array.
        """
        if column not in self._named:
            look_up = LabelLookup if column == LABEL else Lookup
            self._named[column] = look_up(self._items, column)
        return self._named[column].rows_of(values)

    def rows_of(self, identities: Sequence[str | None]) -> list[Integers]:
        """The rows of each image, in order; none of no image."""
        files = [None if name is None else split_name(name)[0] for name in identities]
        found = self.rows_with("sha256", files)
        rows = np.unique(np.concatenate(found)) if found else np.empty(0, dtype=np.int64)
        told = self._items.take(rows, ["sha256", "path"]).to_pydict()
        images = {
            row: identity_of(sha256, path)
            for row, sha256, path in zip(rows.tolist(), told["sha256"], told["path"], strict=True)
        }
        return [
            _of_image(each, [images[row] == identity for row in each.tolist()])
            for identity, each in zip(identities, found, strict=True)
        ]


def _of_image(rows: Integers, same: list[bool]) -> Integers:
    return rows if all(same) else rows[np.array(same)]
