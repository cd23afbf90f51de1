"""Queries and what is known of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xmir_cli.errors import DataError, UsageError
from xmir_cli.gallery.folder.engine import Gallery
from xmir_cli.gallery.folder.items import Items
from xmir_cli.gallery.vectors import Integers, Vectors, unit_rows
from xmir_cli.retrieval.region import Region
from xmir_cli.store.arrays import read_array
from xmir_cli.store.names import restored, typed

_BLOCK = 256  # queries searched at a time where no network sets the pace
_NAMES = 50_000  # ids that are looked through for one like a mistyped one, in a second


@dataclass(frozen=True)
class Asked:
    """One query: the name it goes by in records, its unit vector [D], and what is known of it."""

    name: str
    vector: Vectors
    columns: Mapping[str, str | None]  # id, path, sha256, label, patient ..., those that are known
    examples: "Examples | None" = None  # what `vector` was moved towards and away from
    part: "Part | None" = None  # of the image; `vector` is its direction


@dataclass(frozen=True)
class Examples:
    """Images to move a query towards and away from, and where the query was before [D]."""

    like: Sequence[Asked]
    unlike: Sequence[Asked]
    image: Vectors


@dataclass(frozen=True)
class Part:
    """What of a query's unit embedding `image` [D] comes from a region: `length` times a vector."""

    region: Region
    image: Vectors
    length: float


@dataclass(frozen=True)
class Reading:
    """How pictures are read: with how many decoding threads, and which region of each asks."""

    jobs: int | None = None
    region: Region | None = None


def indexed(gallery: Gallery, rows: Sequence[int]) -> Iterator[list[Asked]]:
    """Items of the gallery as queries, a block at a time."""
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        table = gallery.items.take(block).to_pylist()
        yield [
            Asked(restored(str(columns["path"])), np.asarray(gallery.vectors[row]), columns)
            for row, columns in zip(block, table, strict=True)
        ]


def given(
    gallery: Gallery, files: Sequence[str], skip: Callable[[str, str], None]
) -> Iterator[list[Asked]]:
    """The embeddings in .npy files [D] or [N, D] as queries; `skip` is told of unusable rows.

    Raises DataError when a file holds anything but embeddings of the index's size.
    """
    dim = gallery.manifest.dim
    for file in files:
        array = np.atleast_2d(read_array(Path(file)))
        if array.ndim != 2 or array.shape[1] != dim:
            found = f"found an array of {' x '.join(map(str, array.shape))}"
            raise DataError(f"{file}: expected embeddings of {dim} numbers, {found}")
        vectors, usable = unit_rows(array)
        for row in np.flatnonzero(~usable).tolist():
            skip(file, f"bad-vector: row {row} is zero, NaN or infinite")
        asked = [Asked(file, vector, {}) for vector in vectors[usable]]
        yield from (asked[i : i + _BLOCK] for i in range(0, len(asked), _BLOCK))


def rows_of(gallery: Gallery, ids: Sequence[str]) -> list[int]:
    """Where the items `ids` stand; raises UsageError with the nearest names for an unknown one."""
    if not ids:
        return []
    column = gallery.items["id"]
    ids = [typed(name) for name in ids]
    places: list[int | None] = pc.index_in(pa.array(ids, column.type), value_set=column).to_pylist()
    for name, place in zip(ids, places, strict=True):
        if place is None:
            few = column.to_pylist() if len(column) <= _NAMES else []
            close = get_close_matches(name, few, n=3, cutoff=0.5)
            hint = f"Did you mean {' or '.join(close)}?" if close else ""
            raise UsageError(f"--id {name}: no such item in {gallery.path}", hint)
    return [place for place in places if place is not None]


def known(gallery: Gallery, sha256: str) -> dict[str, str | None]:
    """Label, patient and the other columns of the first item that is the same file; or nothing."""
    rows = rows_with(gallery.items, "sha256", sha256)[:1]
    found: list[dict[str, str | None]] = gallery.items.take(rows).to_pylist()
    return {key: value for key, value in found[0].items() if key != "path"} if found else {}


def rows_with(items: Items | pa.Table, column: str, value: str) -> Integers:
    """Items with the value in the column, as text; nothing there is the empty text."""
    texts = pc.fill_null(pc.cast(items[column], pa.string()), "")
    same = pc.equal(texts, pa.scalar(typed(value), pa.string()))
    return np.asarray(pc.indices_nonzero(same).to_numpy(), dtype=np.int64)
