"""A head that was trained on stored vectors, applied to stored vectors: no image is read."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from xmir_cli.errors import ItemError, ModelError
from xmir_cli.gallery.usable import exclude_rows, usable_rows
from xmir_cli.model.adapter import Adapter
from xmir_cli.pictures.exclusion import Exclusion
from xmir_cli.store.embedding_header import Header
from xmir_cli.store.embedding_source import EmbeddingSource
from xmir_cli.store.embedding_table import column_of_vectors
from xmir_cli.store.embedding_writers import GROUP_ROWS
from xmir_cli.store.embeddings import open_embeddings
from xmir_cli.wire.model import ModelSpec

APPLIED = "adapted"  # in the metadata: from whose vectors the rows were made


@dataclass(frozen=True)
class Adapted:
    """Embeddings to be written: what they promise, and their rows some at a time."""

    header: Header
    tables: Iterator[pa.Table]


def adapt(
    source: str,
    adapter: Adapter,
    allow: Callable[[pa.Table], np.ndarray],
    leave_out: Callable[[str, ItemError], None],
    exclusion: Exclusion | None = None,
) -> Adapted:
    """The head's embeddings of the rows [N] that `allow` allows; a block at a time is in memory.

    Those that `exclusion` names are not among them. `leave_out` is told of vectors without a
    direction. Raises ModelError for vectors of another model than the head was trained on,
    DataError for two rows of one id or where no row is left.
    """
    found = open_embeddings(source)
    _refuse_other(source, found.model, adapter)
    usable = usable_rows(found, leave_out)
    if exclusion is not None:
        usable = exclude_rows(usable, exclusion)
    rows = sum(int(allow(block.items).sum()) for block in usable.blocks(GROUP_ROWS))
    made = {**found.made, APPLIED: f"vectors of {adapter.base.weights_sha256[:12]}"}
    header = Header(rows, len(adapter.weight), adapter.spec, made)
    return Adapted(header, _tables(usable, adapter, allow))


def _tables(
    found: EmbeddingSource, adapter: Adapter, allow: Callable[[pa.Table], np.ndarray]
) -> Iterator[pa.Table]:
    for items, vectors in found.blocks(GROUP_ROWS):
        chosen = allow(items)
        made = adapter.apply(vectors[chosen])
        yield items.filter(pa.array(chosen)).append_column(*column_of_vectors(made))


def _refuse_other(source: str, made_by: ModelSpec, adapter: Adapter) -> None:
    if made_by.same_embedding(adapter.base):
        return
    first, second = (
        f"{spec.architecture} {spec.weights_sha256[:12]}" for spec in (made_by, adapter.base)
    )
    raise ModelError(
        f"{source}: made by {first}, and the head was trained on vectors of {second}"
        + ("" if first != second else ", which were prepared otherwise"),
        "To embed its images anew, name them, or the table that lists them.",
    )
