"""Every byte of an artefact against the checksums that it has."""

from pathlib import Path
from typing import Literal, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from xmir_cli.errors import DataError
from xmir_cli.store.checkpoint import check_data
from xmir_cli.store.embedding_header import SUMMED
from xmir_cli.store.embeddings import open_embeddings
from xmir_cli.store.footer import check_footer
from xmir_cli.store.maps import find_sha256, is_recorded
from xmir_cli.store.regular import open_regular

_ROWS = 8192  # read at a time
Compared = Literal["all", "description", "no checksum"]
_SEAL, _SUMMED = b"xmir.checksum", f"xmir.{SUMMED}".encode()


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
    found = open_embeddings(str(path))
    for _ in found.blocks(_ROWS):  # with the checksums of its pages
        pass
    for _ in found.features.blocks() if found.features else ():
        pass
    files = path.glob("part-*.parquet") if path.is_dir() else [path]
    each = {_compared(file) for file in files}
    return next(found for found in get_args(Compared)[::-1] if found in each)


def _compared(path: Path) -> Compared:
    """Which checksums a table has; they were compared when it was read."""
    with open_regular(path) as file:
        table = file.read(4) == b"PAR1"
        file.seek(0)
        summed = table and check_footer(file)
        schema = pq.read_schema(file) if table else pa.ipc.open_stream(file).schema
    told = schema.metadata or {}
    if _SEAL not in told:
        return "no checksum"
    return "all" if summed or _SUMMED in told else "description"
