"""Embedded images as a set to be scored: read from embeddings or an index, narrowed, compared."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xmir_cli.arrays import Booleans, Integers
from xmir_cli.errors import DataError, ItemError
from xmir_cli.gallery.engines import is_index, open_gallery
from xmir_cli.gallery.usable import keep_usable
from xmir_cli.labels import parse_labels
from xmir_cli.pictures.identity import identity_of
from xmir_cli.retrieval.conditions import allowed_by, say_nothing
from xmir_cli.store.embeddings import Embeddings, open_embeddings, read_embeddings
from xmir_cli.store.kept_vectors import gather_vectors
from xmir_cli.store.where import Condition
from xmir_cli.store.whitening import read_whitener

_ROWS = 8192  # chosen from at a time


def list_columns(source: str) -> Sequence[str]:
    """The columns of embeddings or of an index, of which a block is read at most."""
    if is_index(source):
        return open_gallery(source).column_names
    first = next(open_embeddings(source).blocks(1), None)
    return [] if first is None else list(first.items.column_names)


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


def meet_whitening(queries: Embeddings, gallery: Embeddings) -> Embeddings:
    """The queries as a whitened index makes them, where they are of its network and not whitened.

    Others stay as they are.
    """
    whitening = gallery.model.whitening
    if whitening is None or not replace(gallery.model, whitening=None).same_embedding(
        queries.model
    ):
        return queries
    vectors = read_whitener(whitening).whiten(queries.vectors)
    return replace(queries, vectors=vectors, model=gallery.model)


def select_rows(images: Embeddings, where: Sequence[Condition]) -> Embeddings:
    """The rows for which all conditions hold; raises DataError when there is none."""
    return _only(images, select_numbers(images.items, where))


def select_numbers(items: pa.Table, where: Sequence[Condition]) -> Booleans:
    """For which rows [N] all conditions hold; raises DataError when there is none."""
    allowed = allowed_by(items, where)
    if not allowed.any():
        raise DataError(say_nothing(items, where))
    return allowed


def with_label(images: Embeddings) -> Embeddings:
    """The rows that have a label; raises DataError when there is none."""
    texts = read_texts(images, "label")
    labelled = {text for text in set(texts) if parse_labels(text)}
    known = np.array([text in labelled for text in texts], dtype=bool)
    if not known.any():
        raise DataError(f"none of {len(known)} rows has a label")
    return _only(images, known)


def sample_rows(rows: int, count: int, seed: int) -> Integers:
    """So many of the rows, each as likely as another, in their order; all where there are fewer."""
    drawn = np.random.default_rng(seed).permutation(rows)[:count]
    return np.sort(drawn)


def sample_images(items: pa.Table, count: int, seed: int) -> Integers:
    """The rows of so many images, in their order; the images are the same in any order of rows."""
    return np.sort(order_of(items)[sample_rows(len(items), count, seed)])


def order_of(items: pa.Table) -> Integers:
    """The rows in the order of their hashes, then ids, whatever the order of the table."""
    keys = [(name, "ascending") for name in ("sha256", "id")]
    return np.asarray(pc.sort_indices(items, sort_keys=keys), dtype=np.int64)


def take_rows(images: Embeddings, rows: Integers) -> Embeddings:
    """The rows of these numbers, without their feature maps."""
    items = images.items.take(pa.array(rows))
    return replace(images, items=items, vectors=images.vectors[rows], features=None)


def read_texts(images: Embeddings, column: str) -> list[str | None]:
    """A column's values as text, None where nothing is there; DataError without the column."""
    if column not in images.items.column_names:
        there = ", ".join(images.items.column_names)
        raise DataError(f"no column {column!r}; there are {there}")
    # equal values are one text, of which a column of millions mostly has few
    found = images.items[column].cast(pa.string()).combine_chunks().dictionary_encode()
    texts = [*(value or None for value in found.dictionary.to_pylist()), None]
    return [texts[number] for number in found.indices.fill_null(len(texts) - 1).to_pylist()]


def find_positions(queries: Embeddings, gallery: Embeddings) -> Integers:
    """Where each query stands in the gallery [Q]: the same id and image; -1 if it is not there."""
    ids = [images.items["id"].cast(pa.string()) for images in (queries, gallery)]
    found = np.array(pc.index_in(ids[0], value_set=ids[1]).fill_null(-1), dtype=np.int64)
    there = np.flatnonzero(found >= 0)
    own = _identities(queries.items.take(pa.array(there)))
    others = _identities(gallery.items.take(pa.array(found[there])))
    found[there[[one != other for one, other in zip(own, others, strict=True)]]] = -1
    return found


def count_copies(queries: Embeddings, gallery: Embeddings, own: Integers) -> Integers:
    """How many other items of the gallery are the same image as each query [Q]."""
    files = [images.items["sha256"].cast(pa.string()) for images in (queries, gallery)]
    same = gallery.items.filter(pc.is_in(files[1], value_set=files[0].unique()))
    counts = Counter(_identities(same))
    found = [counts[name] if name else 0 for name in _identities(queries.items)]
    return np.maximum(np.array(found, dtype=np.int64) - (own >= 0), 0)


def _identities(items: pa.Table) -> list[str | None]:
    hashes, paths = (items[name].cast(pa.string()).to_pylist() for name in ("sha256", "path"))
    return [
        identity_of(sha256, path or "") if sha256 else None
        for sha256, path in zip(hashes, paths, strict=True)
    ]


def _only(images: Embeddings, rows: Booleans) -> Embeddings:
    if rows.all():
        return images
    starts = range(0, len(rows), _ROWS)
    chosen = (
        images.vectors[start : start + _ROWS][rows[start : start + _ROWS]] for start in starts
    )
    vectors = gather_vectors(chosen, int(rows.sum()), images.dim)
    return replace(images, items=images.items.filter(pa.array(rows)), vectors=vectors)
