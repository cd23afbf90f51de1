"""Which names are embeddings, and which a head for them, told by how files begin and end."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from xmir_cli.errors import ModelError, SettingError
from xmir_cli.store.checkpoint import read_tensors_header
from xmir_cli.store.embedding_header import EMBEDDING
from xmir_cli.store.kinds import find_kind
from xmir_cli.store.rewritten import is_vectors

ADAPTER = "adapter.weight"  # in a checkpoint, of a head that was trained on vectors [d, D]


def find_vectors(images: Sequence[str]) -> str | None:
    """The one of a command's inputs that is embeddings; None where none is.

    Raises SettingError where it has company.
    """
    found = [name for name in images if holds_vectors(name)]
    if found and len(images) > 1:
        raise SettingError("images", "embeddings stand alone, without other inputs", value=found[0])
    return found[0] if found else None


def holds_vectors(name: str) -> bool:
    """Whether a file or a folder of parts has the vectors of images, and not their paths alone."""
    if name == "-":
        return False
    kind = find_kind(Path(name))
    if kind != "parquet":
        return kind in {"parts", "stream"}
    try:
        schema = pq.read_schema(name)
    except (pa.ArrowException, OSError, ValueError):
        return False
    return EMBEDDING in schema.names and is_vectors(schema.field(EMBEDDING).type)


def holds_head(path: Path) -> bool:
    """Whether a file is a checkpoint of a head that was trained on vectors."""
    try:
        return ADAPTER in read_tensors_header(path)
    except (ModelError, OSError):
        return False
