"""The engine of indexes in a folder NAME.xmir: vectors, items, maps and perhaps a graph."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from xmir_cli.errors import DataError, SettingError
from xmir_cli.gallery.folder.build import write_gallery
from xmir_cli.gallery.folder.gallery import FolderGallery, map_array
from xmir_cli.gallery.folder.items import Items
from xmir_cli.gallery.folder.manifest import (
    AGAIN,
    FEATURES_FILE,
    ITEMS,
    NAME,
    VECTORS,
)
from xmir_cli.gallery.folder.opening import open_index
from xmir_cli.gallery.folder.rows import as_rows
from xmir_cli.gallery.protocol import Build, Built
from xmir_cli.model.folders import move
from xmir_cli.store import parquet_columns
from xmir_cli.store.arrays import shape_of
from xmir_cli.store.atomic import refuse_existing
from xmir_cli.store.describe_columns import describe_columns, pick_columns
from xmir_cli.store.embedding_source import EmbeddingSource
from xmir_cli.store.hashes import sha256_file
from xmir_cli.store.outputs import need_folder
from xmir_cli.wire.records import Record

_ROWS = 65_536  # of items, read at a time


def open_gallery(name: str, model: str | None = None) -> FolderGallery:
    """Open an index, its model's weights or folder lying elsewhere if `model` says so.

    Raises DataError when any of its bytes are not those that were written, as far as the times of
    its files tell; the graph's when it is opened.
    """
    opened = open_index(Path(name))
    manifest = opened.manifest
    vectors = map_array(opened.find(VECTORS), name)
    items = Items(opened.find(ITEMS), name)
    found = (vectors.dtype, *vectors.shape, len(items))
    if found != (np.dtype(manifest.store), manifest.rows, manifest.dim, manifest.rows):
        raise DataError(f"{name}: damaged index (sizes differ)", AGAIN)
    if model is not None:
        manifest = replace(manifest, model=move(manifest.model, model))
    return FolderGallery(name, manifest, as_rows(vectors), items, opened)


def is_index(name: str) -> bool:
    """Whether a folder says that it is an index."""
    return (Path(name) / NAME).is_file()


def flat_columns(name: str) -> list[str]:
    """The columns of the items but vectors; nothing is compared with the checksums."""
    return parquet_columns.flat_columns(Path(name) / ITEMS)


def column_values(name: str, column: str, start: str, most: int) -> list[str]:
    """Values of a column that begin with `start`; nothing is compared with the checksums."""
    return parquet_columns.column_values(Path(name) / ITEMS, column, start, most)


def refuse_output(name: str, force: bool) -> None:
    """Raise ExistsError or DataError where no index may be built, as `refuse_existing` does."""
    folder = Path(name)
    refuse_existing(folder, force)
    if folder.exists() and not is_index(name):
        raise DataError(f"{folder}: not an index, so it is not replaced")
    need_folder(folder)


def refuse_build(name: str, build: Build, source: EmbeddingSource | None = None) -> None:
    """Raise SettingError where an index is to be spread over machines."""
    del name, source
    for setting, value in asdict(build.spread).items():
        if value is not None:
            raise SettingError(setting, "a folder has none; Qdrant has", value=str(value))


def build_index(name: str, source: EmbeddingSource, build: Build) -> Built:
    """Write the index of unit vectors; it is there whole or not at all. Kind None: exact."""
    refuse_build(name, build)
    made = write_gallery(source, Path(name), build)
    return Built(made.rows, made.dim, sha256_file(Path(name) / NAME), made.recall_at_10)


def describe_index(name: str, verify: bool = False) -> Record:
    """What an index says of itself, every byte of it compared with the checksums.

    Those of a file that has not changed since it was found whole are not read again, unless it is
    to `verify`.
    """
    opened = open_index(Path(name))
    found = opened.manifest
    check = opened.check if verify else opened.find
    files = {file: check(file) for file in found.files}
    manifest = found.to_json()
    for key in ("schema", "checksum", "mean"):
        manifest.pop(key, None)
    maps = files.get(FEATURES_FILE)
    shape = {} if maps is None else {"features": shape_of(maps)[1:]}
    items = Items(files[ITEMS], name)
    return {
        "kind": "index",
        "search": manifest.pop("kind"),
        "rows": found.rows,
        "dim": found.dim,
        "columns": items.column_names,
        **describe_columns(items.pieces(_ROWS, pick_columns(items.schema))),
        **manifest,
        **shape,
    }
