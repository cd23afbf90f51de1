"""Which rows of an index folder show which image."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from xmir_cli.arrays import Integers
from xmir_cli.gallery.folder.items import Items
from xmir_cli.gallery.texts import rows_sharing
from xmir_cli.pictures.identity import identity_of, split_name

_NOTHING: Integers = np.empty(0, dtype=np.int64)
_PASSES = 8  # over a column; sorting it takes about as long


class Images:
    """The rows of images, by their identities: the hash of a file and which of its pictures.

    The hashes are gone through, or sorted once they have been gone through a few times.
    """

    def __init__(self, items: Items) -> None:
        self._items = items
        self._passed = 0
        self._sorted: tuple[np.ndarray, Integers] | None = None  # starts of hashes, their rows

    def rows_of(self, identities: Sequence[str | None], often: bool = False) -> list[Integers]:
        """The rows of each image, in order; none of no image. `often`: this is asked for again."""
        files = [None if name is None else split_name(name)[0] for name in identities]
        found = self._look_up(files) if often else rows_sharing(self._items["sha256"], files)
        hashes, paths = self._items["sha256"], self._items["path"]
        rows = {row for each in found for row in each.tolist()}
        # few, so they are looked at one by one
        images = {row: identity_of(hashes[row].as_py(), paths[row].as_py()) for row in rows}
        return [
            np.array([row for row in each.tolist() if images[row] == identity], dtype=np.int64)
            for identity, each in zip(identities, found, strict=True)
        ]

    def _look_up(self, files: Sequence[str | None]) -> list[Integers]:
        """For each file the rows whose hashes begin as its hash does."""
        if self._passed < _PASSES:
            self._passed += 1
            return rows_sharing(self._items["sha256"], files)
        if self._sorted is None:
            starts = _starts(self._items["sha256"])
            order = np.argsort(starts, kind="stable")
            self._sorted = starts[order], order
        starts, order = self._sorted
        wanted = _starts(pa.chunked_array([[file or "" for file in files]], pa.string()))
        first = np.searchsorted(starts, wanted, "left")
        last = np.searchsorted(starts, wanted, "right")
        return [
            order[one:other] if file else _NOTHING
            for file, one, other in zip(files, first, last, strict=True)
        ]


def _starts(texts: pa.ChunkedArray) -> np.ndarray:
    """The first eight bytes of each text as a number."""
    each = texts.cast(pa.binary()).to_numpy().astype("S8")
    return np.asarray(each.view(">u8").astype(np.uint64))
