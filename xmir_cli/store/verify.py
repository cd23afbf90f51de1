"""Every byte of an artefact against the checksums that it has."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from xmir_cli.errors import DataError
from xmir_cli.store.checkpoint import check_data
from xmir_cli.store.embeddings import read_embeddings
from xmir_cli.store.maps import find_sha256, is_recorded
from xmir_cli.store.regular import open_regular

Compared = Literal["all", "description", "no checksum"]
_SEAL = b"xmir.checksum"


def verify_stored(path: Path, kind: object) -> Compared:
    """How much of a file or folder of this kind was compared, all of it read; or DataError.

    `kind` is what 'xmir info' calls it. Raises ModelError for a checkpoint that is damaged.
    """
    if kind == "embeddings":
        return _verify_embeddings(path)
    if kind in {"checkpoint", "training state", "tensors"}:
        return "all" if check_data(path) else "no checksum"
    if kind in {"saliency", "array"} and find_sha256(path) is not None:
        if not is_recorded(path):
            raise DataError(f"{path}: damaged map (checksum)")
        return "all"
    return "no checksum"


def _verify_embeddings(path: Path) -> Compared:
    found = read_embeddings(str(path), allow_nan=True)  # with the checksums of its pages
    for _ in found.features.blocks() if found.features else ():
        pass
    if path.is_dir():
        files: Iterable[Path] = path.glob("part-*.parquet")
        return "all" if all(map(_is_sealed, files)) else "no checksum"
    if not _is_sealed(path):
        return "no checksum"
    with open_regular(path) as file:
        return "all" if file.read(4) == b"PAR1" else "description"  # a stream's numbers have none


def _is_sealed(path: Path) -> bool:
    """Whether what a table says of itself has a checksum, which was compared when it was read."""
    with open_regular(path) as file:
        table = file.read(4) == b"PAR1"
        file.seek(0)
        schema = pq.read_schema(file) if table else pa.ipc.open_stream(file).schema
    return _SEAL in (schema.metadata or {})
