"""The images of an atlas: what is known of them, and their vectors in a file that is mapped."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from xmir_cli.arrays import Integers
from xmir_cli.errors import DataError, ItemError
from xmir_cli.gallery.engines import is_index, open_gallery
from xmir_cli.gallery.usable import usable_rows
from xmir_cli.gallery.vectors import Vectors, unit_rows
from xmir_cli.pictures.identity import identity_of
from xmir_cli.retrieval.collection import sample_images
from xmir_cli.retrieval.conditions import allowed_by, check_column, say_nothing
from xmir_cli.store.embeddings import open_embeddings
from xmir_cli.store.kept_vectors import keep_vectors
from xmir_cli.store.where import Condition
from xmir_cli.wire.model import ModelSpec

ROWS = 4096  # read at a time
_ALWAYS = ("id", "path", "sha256", "label", "patient")

_Blocks = Callable[[Sequence[str] | None], Iterator[tuple[pa.Table, np.ndarray]]]


@dataclass(frozen=True, eq=False)
class AtlasPoints:
    """Images [N] and their unit vectors [N, D]."""

    items: pa.Table
    vectors: Vectors
    model: ModelSpec
    of: int  # how many there were before a sample was drawn


@dataclass(frozen=True)
class AskedPoints:
    """Which of the images are looked at, and what has to be known of them."""

    columns: Mapping[str, Sequence[str]]  # that are asked for, by the setting that names them
    where: Sequence[Condition]
    sample: int | None  # at most so many
    seed: int
    welcome: Sequence[str] = ()  # columns that need not be there


def read_points(
    source: str, wanted: AskedPoints, leave_out: Callable[[str, ItemError], None], folder: Path
) -> AtlasPoints:
    """The usable rows of embeddings or of an index; `leave_out` is told of the others.

    The vectors go into a nameless file in `folder`, so that memory holds what is looked at alone.

    Raises:
        SettingError: There is no such column.
        DataError: No row is left; or as whatever is read does.
    """
    blocks, model = _open(source, leave_out, folder)
    names = next(blocks(None))[0].column_names
    asked = {**wanted.columns, "where": [each.column for each in wanted.where]}
    for setting, columns in asked.items():
        for column in columns:
            check_column(names, column, setting)
    known = {*_ALWAYS, *wanted.welcome, *(each for columns in asked.values() for each in columns)}
    items, vectors = _keep(blocks([each for each in names if each in known]), wanted.where, folder)
    found = AtlasPoints(items, vectors, model, len(items))
    return found if wanted.sample is None else _draw(found, wanted.sample, wanted.seed)


def number_values(column: pa.ChunkedArray) -> Integers:
    """Equal values of a column as equal numbers [N]; nothing, and the empty text, as -1."""
    found = column.cast(pa.string()).combine_chunks().dictionary_encode()
    numbers = np.array(found.indices.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int64)
    empty = [place for place, text in enumerate(found.dictionary.to_pylist()) if not text]
    numbers[np.isin(numbers, empty)] = -1
    return numbers


def list_identities(items: pa.Table) -> list[str | None]:
    """Which image each row is [N], None where nobody knows."""
    paths, hashes = (items[name].to_pylist() for name in ("path", "sha256"))
    return [
        identity_of(sha256, path) if sha256 else None
        for path, sha256 in zip(paths, hashes, strict=True)
    ]


def row_blocks(count: int) -> Iterator[slice]:
    """The rows of `count`, so many at a time as are held in memory."""
    return (slice(start, start + ROWS) for start in range(0, count, ROWS))


def _open(
    source: str, leave_out: Callable[[str, ItemError], None], folder: Path
) -> tuple[_Blocks, ModelSpec]:
    if is_index(source):
        gallery = open_gallery(source)
        return (
            lambda names: ((each.columns, each.vectors) for each in gallery.iterate(ROWS, names)),
            gallery.model,
        )
    rows = usable_rows(open_embeddings(source, folder=folder), leave_out)
    return lambda names: rows.blocks(ROWS, names), rows.model


def _keep(
    blocks: Iterable[tuple[pa.Table, np.ndarray]], where: Sequence[Condition], folder: Path
) -> tuple[pa.Table, Vectors]:
    """The rows for which all conditions hold, at length 1."""
    tables = []

    def chosen() -> Iterator[Vectors]:
        for items, vectors in blocks:
            allowed = allowed_by(items, where)
            tables.append(items)
            yield unit_rows(vectors if allowed.all() else vectors[allowed])[0]

    kept = keep_vectors(chosen(), folder)
    table = pa.concat_tables(tables)
    if not len(kept):
        raise DataError(say_nothing(table, where))
    if len(kept) < len(table):
        table = table.filter(pa.array(allowed_by(table, where)))
    return table.combine_chunks(), kept


def _draw(points: AtlasPoints, count: int, seed: int) -> AtlasPoints:
    """So many of them, each as likely as another, in their order."""
    rows = sample_images(points.items, count, seed)
    if len(rows) == len(points.items):
        return points
    return replace(
        points, items=points.items.take(pa.array(rows)), vectors=np.asarray(points.vectors[rows])
    )
