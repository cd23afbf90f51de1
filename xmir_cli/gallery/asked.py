"""Queries, what is known of them, and which items that leaves to be found."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xmir_cli.errors import DataError, UsageError
from xmir_cli.gallery.exact import Booleans, Hits, Integers, Scope, Vectors, unit_rows
from xmir_cli.gallery.folder import Gallery
from xmir_cli.records import RETRIEVAL, Record
from xmir_cli.store.arrays import read_array

SELF = ("id", "path", "sha256")  # an item that shares one of these with the query is the query
_BLOCK = 64  # queries searched at a time where no network sets the pace
_OWN_KEYS = {"path", "label", "sha256", "width", "height"}  # columns not repeated under `meta`


@dataclass(frozen=True)
class Asked:
    """One query: the name it goes by in records, its unit vector [D], and what is known of it."""

    name: str
    vector: Vectors
    columns: Mapping[str, str | None]  # id, path, sha256, label, patient ..., those that are known


@dataclass(frozen=True)
class Filters:
    """Items that may be found [N] (None: all), without those like the query in some columns."""

    items: pa.Table
    allowed: Booleans | None
    unlike: Sequence[str]

    def scope(self, asked: Sequence[Asked]) -> Scope:
        """The scope of a search for these queries."""
        return Scope(self.allowed, [self._excluded(query) for query in asked])

    def _excluded(self, query: Asked) -> Integers:
        """Items with the query's value in any of the columns; no value is never the same."""
        known = [(column, query.columns.get(column)) for column in self.unlike]
        found = [_rows(self.items, column, value) for column, value in known if value is not None]
        return np.unique(np.concatenate(found)) if found else np.empty(0, dtype=np.int64)


def filters(
    items: pa.Table, where: Sequence[tuple[str, str]], exclude_same: str | None, no_self: bool
) -> Filters:
    """The filters of the flags; raises UsageError for a column that the items do not have."""
    for column in [*(column for column, _ in where), *([exclude_same] if exclude_same else [])]:
        check_column(items, column)
    allowed = np.ones(len(items), dtype=bool)
    for column, value in where:
        only = np.zeros(len(items), dtype=bool)
        only[_rows(items, column, value)] = True
        allowed &= only
    own = SELF if no_self or exclude_same else ()
    unlike = [*own, *([exclude_same] if exclude_same else [])]
    return Filters(items, allowed if where else None, unlike)


def check_column(items: pa.Table, column: str) -> None:
    """Raise UsageError, naming the columns there are, when it is none of them."""
    if column not in items.column_names:
        raise UsageError(f"no column {column!r}; there are {', '.join(items.column_names)}")


def indexed(gallery: Gallery, rows: Sequence[int]) -> Iterator[list[Asked]]:
    """Items of the gallery as queries, a block at a time."""
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        table = gallery.items.take(pa.array(block, pa.int64())).to_pylist()
        yield [
            Asked(str(columns["path"]), np.asarray(gallery.vectors[row]), columns)
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
    places = {name: row for row, name in enumerate(gallery.items["id"].to_pylist())}
    for name in ids:
        if name not in places:
            close = get_close_matches(name, places, n=3, cutoff=0.5)
            hint = f"Did you mean {' or '.join(close)}?" if close else ""
            raise UsageError(f"--id {name}: no such item in {gallery.path}", hint)
    return [places[name] for name in ids]


def known(gallery: Gallery, sha256: str) -> dict[str, str | None]:
    """Label, patient and the other columns of the first item that is the same file; or nothing."""
    rows = _rows(gallery.items, "sha256", sha256)[:1]
    found: list[dict[str, str | None]] = gallery.items.take(pa.array(rows)).to_pylist()
    return {key: value for key, value in found[0].items() if key != "path"} if found else {}


def answer(gallery: Gallery, query: Asked, hits: Hits) -> list[Record]:
    """One record for each hit, best first."""
    label = query.columns.get("label")
    rows = gallery.items.take(pa.array(hits.indices)).to_pylist()
    return [
        {
            "schema": RETRIEVAL,
            "query": query.name,
            "retrieved": row["path"],
            "rank": rank,
            "similarity": similarity,
            "query_label": label,
            "retrieved_label": row.get("label"),
            "match": _match(label, row.get("label")),
            "index": gallery.path,
            "model": gallery.model,
            "meta": {key: value for key, value in row.items() if key not in _OWN_KEYS},
        }
        for rank, (row, similarity) in enumerate(
            zip(rows, hits.similarities.tolist(), strict=True), start=1
        )
    ]


def _match(first: str | None, second: str | None) -> bool | None:
    return None if first is None or second is None else first == second


def _rows(items: pa.Table, column: str, value: str) -> Integers:
    """Items with the value in the column, as text; nothing there is the empty text."""
    texts = pc.fill_null(pc.cast(items[column], pa.string()), "")
    same = pc.equal(texts, pa.scalar(value, pa.string()))
    return np.asarray(pc.indices_nonzero(same).to_numpy(), dtype=np.int64)
