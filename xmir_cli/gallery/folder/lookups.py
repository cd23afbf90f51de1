"""Rows of an index folder by the texts of a column."""

from collections.abc import Sequence
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xmir_cli.arrays import Integers
from xmir_cli.gallery.folder.items import Items
from xmir_cli.gallery.texts import hash_texts, rows_sharing
from xmir_cli.labels import LabelSets, parse_labels
from xmir_cli.store.cells import plain_text

_NOTHING: Integers = np.empty(0, dtype=np.int64)
_HELD = 64  # sets of labels whose rows are held
_MANY = 256  # rows of a text from which on they are kept
_PASSES = 8  # over a column; sorting it takes about as long


class Lookup:
    """The rows by the texts of one column.

    The column is gone through a group of rows at a time, and nothing of it is held, until that was
    done a few times. Then it is sorted by the hashes of its texts: 16 bytes a row.
    """

    def __init__(self, items: Items, column: str) -> None:
        self._items, self._column = items, column
        self._passed = 0
        self._large: dict[str, Integers] = {}
        self._sorted: tuple[Integers, Integers] | None = None  # hashes, their rows

    def rows_of(self, values: Sequence[object]) -> list[Integers]:
        """For each value the rows that have it, in order; nothing has none.

        For equal values that is the same array.
        """
        texts = ["" if value is None else plain_text(value) for value in values]
        fresh = [text for text in dict.fromkeys(texts) if text and text not in self._large]
        found = dict(zip(fresh, self._find(fresh), strict=True)) if fresh else {}
        # all of them together are no longer than the column
        self._large |= {text: rows for text, rows in found.items() if len(rows) > _MANY}
        found |= self._large
        return [found.get(text, _NOTHING) for text in texts]

    def _find(self, texts: Sequence[str]) -> list[Integers]:
        if self._sorted is None and self._passed < _PASSES:
            self._passed += 1
            return self._go_through(texts)
        which, rows = self._guess(texts)
        taken = self._items.take(rows, [self._column])[self._column].cast(pa.string())
        sought = pa.array(texts, pa.string()).take(pa.array(which))
        same = pc.fill_null(pc.equal(taken, sought), False).to_numpy()
        which, rows = which[same], rows[same]
        ends = np.searchsorted(which, np.arange(len(texts) + 1)).tolist()
        return [rows[first:last] for first, last in pairwise(ends)]

    def _go_through(self, texts: Sequence[str]) -> list[Integers]:
        found = [[_NOTHING] for _ in texts]
        for start, column in self._items.scan(self._column, texts):
            for rows, more in zip(found, rows_sharing(column, texts), strict=True):
                if len(more):
                    rows.append(more + start)
        return [np.concatenate(rows) for rows in found]

    def _guess(self, texts: Sequence[str]) -> tuple[Integers, Integers]:
        """The rows whose texts have the hash of a text, and of which; in order."""
        if self._sorted is None:
            self._sorted = self._sort()
        hashes, rows = self._sorted
        wanted = np.array([hash(text) for text in texts], dtype=np.int64)
        first = np.searchsorted(hashes, wanted, "left")
        last = np.searchsorted(hashes, wanted, "right")
        which = np.repeat(np.arange(len(texts)), last - first)
        places = np.arange(len(which)) - np.repeat(np.cumsum(last - first) - last, last - first)
        return which, rows[places]

    def _sort(self) -> tuple[Integers, Integers]:
        hashes = np.empty(len(self._items), dtype=np.int64)
        for start, column in self._items.scan(self._column):
            hashes[start : start + len(column)] = hash_texts(column.cast(pa.string()))
        order = np.argsort(hashes, kind="stable")
        return hashes[order], order


class LabelLookup:
    """The same of a column of labels: the rows that share one with a value's."""

    def __init__(self, items: Items, column: str) -> None:
        self._items, self._column = items, column
        self._of = lru_cache(_HELD)(self._share)

    def rows_of(self, values: Sequence[object]) -> list[Integers]:
        """For each value the rows that share a label, in order; the same array for the same."""
        return [self._of(parse_labels(value)) for value in values]

    def _share(self, labels: frozenset[str]) -> Integers:
        return np.flatnonzero(self._sets.grade(labels))

    @cached_property
    def _sets(self) -> LabelSets:
        texts = self._items[self._column].cast(pa.string()).combine_chunks().dictionary_encode()
        known = [*texts.dictionary.to_pylist(), None]
        return LabelSets([known[each] for each in texts.indices.fill_null(-1).to_pylist()])
