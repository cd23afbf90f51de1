"""Embedded images as a set to be scored: read from embeddings or an index, narrowed, compared."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from xmir_cli.arrays import Booleans, Integers
from xmir_cli.errors import DataError, ItemError
from xmir_cli.gallery.engines import is_index, open_gallery
from xmir_cli.gallery.usable import keep_usable
from xmir_cli.labels import parse_labels
from xmir_cli.pictures.identity import identity_of
from xmir_cli.retrieval.conditions import allowed_by, say_nothing
from xmir_cli.store.embeddings import Embeddings, read_embeddings
from xmir_cli.store.where import Condition


def read_collection(
    source: str,
    leave_out: Callable[[str, ItemError], None],
    read: Callable[[str], Embeddings] = read_embeddings,
) -> Embeddings:
    """The usable rows of embeddings, which `read` reads, or of an index, as unit vectors.

    The others are left out.
    """
    if is_index(source):
        gallery = open_gallery(source)
        (everything,) = gallery.iterate(len(gallery))
        return Embeddings(everything.columns, everything.vectors, gallery.model)
    return keep_usable(read(source), leave_out)


def select_rows(images: Embeddings, where: Sequence[Condition]) -> Embeddings:
    """The rows for which all conditions hold; raises DataError when there is none."""
    allowed = allowed_by(images.items, where)
    if not allowed.any():
        raise DataError(say_nothing(images.items, where))
    return _only(images, allowed)


def with_label(images: Embeddings) -> Embeddings:
    """The rows that have a label; raises DataError when there is none."""
    known = np.array([bool(parse_labels(text)) for text in read_texts(images, "label")], dtype=bool)
    if not known.any():
        raise DataError(f"none of {len(known)} rows has a label")
    return _only(images, known)


def read_texts(images: Embeddings, column: str) -> list[str | None]:
    """A column's values as text, None where nothing is there; DataError without the column."""
    if column not in images.items.column_names:
        there = ", ".join(images.items.column_names)
        raise DataError(f"no column {column!r}; there are {there}")
    values: list[str | None] = images.items[column].cast(pa.string()).to_pylist()
    return [value or None for value in values]


def find_positions(queries: Embeddings, gallery: Embeddings) -> Integers:
    """Where each query stands in the gallery [Q]: the same id and image; -1 if it is not there."""
    places = {key: place for place, key in enumerate(_keys(gallery))}
    return np.array([places.get(key, -1) for key in _keys(queries)], dtype=np.int64)


def count_copies(queries: Embeddings, gallery: Embeddings, own: Integers) -> Integers:
    """How many other items of the gallery are the same image as each query [Q]."""
    counts = Counter(_identities(gallery))
    found = [counts[name] if name else 0 for name in _identities(queries)]
    return np.maximum(np.array(found, dtype=np.int64) - (own >= 0), 0)


def _keys(images: Embeddings) -> list[tuple[str | None, str | None]]:
    return list(zip(read_texts(images, "id"), _identities(images), strict=True))


def _identities(images: Embeddings) -> list[str | None]:
    hashes, paths = read_texts(images, "sha256"), read_texts(images, "path")
    return [
        identity_of(sha256, path or "") if sha256 else None
        for sha256, path in zip(hashes, paths, strict=True)
    ]


def _only(images: Embeddings, rows: Booleans) -> Embeddings:
    if rows.all():
        return images
    return replace(images, items=images.items.filter(pa.array(rows)), vectors=images.vectors[rows])
