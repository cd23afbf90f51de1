"""Columns as conditions see them: whatever they hold is text, and nothing is the empty text."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xmir_cli.arrays import Booleans, Integers
from xmir_cli.labels import parse_labels, share_label
from xmir_cli.store.cells import plain_text

_NOTHING: Integers = np.empty(0, dtype=np.int64)


def lacks_labels(column: pa.ChunkedArray, labels: str) -> Booleans:
    """Where the column [N] holds labels, and none of these."""
    texts = pc.cast(column, pa.string())
    others = [text for text in pc.unique(texts).to_pylist() if share_label(text, labels) is False]
    found = pc.is_in(texts, value_set=pa.array(others, pa.string()))
    return np.asarray(found.to_numpy(), dtype=bool)


def rows_sharing(column: pa.ChunkedArray, values: Sequence[object]) -> list[Integers]:
    """For each value the rows of the column that have it, all in one pass; nothing has none."""
    texts = [None if value is None else plain_text(value) for value in values]
    distinct = list(dict.fromkeys(text for text in texts if text))
    which = pc.index_in(pc.cast(column, pa.string()), value_set=pa.array(distinct, pa.string()))
    rows = pc.indices_nonzero(pc.is_valid(which)).to_numpy().astype(np.int64)
    numbers = pc.drop_null(which).to_numpy()
    order = np.argsort(numbers, kind="stable")
    ends = np.searchsorted(numbers[order], np.arange(len(distinct)), side="right")
    groups = dict(zip(distinct, np.split(rows[order], ends), strict=False))
    return [groups[text] if text else _NOTHING for text in texts]


def hash_texts(column: pa.ChunkedArray) -> Integers:
    """A number for each text [N]; equal texts have equal ones, and others hardly ever."""
    texts = column.to_numpy()
    return np.fromiter(map(hash, texts), np.int64, len(texts))


def numbers_of(column: pa.ChunkedArray) -> Integers:
    """A number for each value of the column [N], -1 where nothing is there."""
    texts = pc.cast(column, pa.string()).combine_chunks()
    found = pc.fill_null(texts.dictionary_encode().indices, -1).to_numpy()
    numbers = np.array(found, dtype=np.int64)
    numbers[pc.equal(pc.fill_null(texts, ""), "").to_numpy(zero_copy_only=False)] = -1
    return numbers


def labels_of(column: pa.ChunkedArray) -> list[frozenset[str]]:
    """The labels that each of the numbers of `numbers_of` stands for."""
    texts = pc.cast(column, pa.string()).combine_chunks()
    return [parse_labels(text) for text in texts.dictionary_encode().dictionary.to_pylist()]
