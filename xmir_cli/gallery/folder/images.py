"""Which rows of an index folder are which items, and show which image."""

from collections.abc import Sequence

import numpy as np

from xmir_cli.arrays import Integers
from xmir_cli.gallery.folder.items import Items
from xmir_cli.gallery.folder.lookups import Lookup
from xmir_cli.pictures.identity import identity_of, split_name


class Images:
    """The rows of images, by their identities: the hash of a file and which of its pictures."""

    def __init__(self, items: Items) -> None:
        self._items = items
        self._named = {name: Lookup(items, name) for name in ("id", "path", "sha256")}

    def rows_with(self, column: str, values: Sequence[object]) -> list[Integers]:
        """For each id or path the rows that have it, in order; none of nothing."""
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
            np.array([row for row in each.tolist() if images[row] == identity], dtype=np.int64)
            for identity, each in zip(identities, found, strict=True)
        ]
