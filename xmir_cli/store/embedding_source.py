"""Embeddings that are read a block at a time, as often as asked, whatever they lie in."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
import pyarrow as pa

from xmir_cli.store.embedding_table import Embeddings, RowBlock
from xmir_cli.store.features import FeatureMaps
from xmir_cli.wire.model import ModelSpec

_ROWS = 16_384  # read at a time where all are read


class EmbeddingSource(Protocol):
    """Images and their vectors, of which a block at a time is in memory."""

    @property
    def rows(self) -> int:
        """How many there are."""

    @property
    def dim(self) -> int:
        """The length D of the vectors."""

    @property
    def model(self) -> ModelSpec:
        """What made them."""

    @property
    def made(self) -> Mapping[str, str]:
        """Precision and the like, as metadata."""

    @property
    def features(self) -> FeatureMaps | None:
        """The last feature maps, where there are any: their shape, and blocks of their own."""

    def blocks(self, size: int, names: Sequence[str] | None = None) -> Iterator[RowBlock]:
        """All rows in their order, `size` at a time, with the columns `names` (None: all).

        The last block may be smaller. Every block has the same columns in the same types. Raises
        DataError, at any block, for what is not whole or has changed since it was opened; all has
        been checked once the last block is there. Vectors may be NaN or of any length.
        """


def even_blocks(blocks: Iterable[RowBlock], size: int) -> Iterator[RowBlock]:
    """The same rows, `size` at a time whatever they came in; the last block may be smaller."""
    held: list[RowBlock] = []
    count = 0
    for block in blocks:
        start = 0
        while count + len(block.vectors) - start >= size:
            stop = start + size - count
            yield _join([*held, _cut(block, start, stop)])
            held, count, start = [], 0, stop
        if start < len(block.vectors) or not (held or start):
            held.append(_cut(block, start, len(block.vectors)))
            count += len(block.vectors) - start
    if held:
        yield _join(held)


def gather(source: EmbeddingSource) -> Embeddings:
    """All of it in memory."""
    vectors = np.empty((source.rows, source.dim), np.float32)
    items, start = [], 0
    for block in source.blocks(_ROWS):
        vectors[start : start + len(block.vectors)] = block.vectors
        items.append(block.items)
        start += len(block.vectors)
    return Embeddings(pa.concat_tables(items), vectors, source.model, source.made, source.features)


def _cut(block: RowBlock, start: int, stop: int) -> RowBlock:
    return RowBlock(block.items.slice(start, stop - start), block.vectors[start:stop])


def _join(blocks: Sequence[RowBlock]) -> RowBlock:
    if len(blocks) == 1:
        return blocks[0]
    items = pa.concat_tables([block.items for block in blocks])
    return RowBlock(items, np.concatenate([block.vectors for block in blocks]))
