"""A folder of parts: Parquet files of embeddings that are one table in the order of their names."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from xmir_cli.errors import DataError
from xmir_cli.store.embedding_readers import ParquetSource, not_embeddings, open_parquet
from xmir_cli.store.embedding_source import even_blocks
from xmir_cli.store.embedding_table import RowBlock
from xmir_cli.store.features import FeatureMaps
from xmir_cli.store.rewritten import fit_schema, join_schemas
from xmir_cli.store.shards import missing_shards, refuse_missing
from xmir_cli.wire.model import ModelSpec

_OTHER = "Keep what one model made in the folder, and no other part-*.parquet."
_ONCE_MORE = "Run the 'xmir embed' that makes it again, and let it resume: what is done is kept."


@dataclass(frozen=True)
class PartsSource:
    """At least one part, all of one model and one form; an `EmbeddingSource`."""

    parts: Sequence[ParquetSource]
    schema: pa.Schema  # of the items of all
    shards: int = 0  # that the job has, where its parts are shards
    missing: Sequence[int] = ()  # those of them that are not there

    @property
    def rows(self) -> int:
        """How many there are."""
        return sum(part.rows for part in self.parts)

    @property
    def dim(self) -> int:
        """The length D of the vectors."""
        return self.parts[0].dim

    @property
    def model(self) -> ModelSpec:
        """What made them."""
        return self.parts[0].model

    @property
    def made(self) -> Mapping[str, str]:
        """Precision and the like."""
        return self.parts[0].made

    @property
    def features(self) -> FeatureMaps | None:
        """The maps of one part after the other."""
        shape = self.parts[0].found.features
        return None if shape is None else FeatureMaps(shape, self._maps)

    def blocks(self, size: int, names: Sequence[str] | None = None) -> Iterator[RowBlock]:
        """The rows, as `EmbeddingSource` says."""
        return even_blocks(self._blocks(size, names), size)

    def _blocks(self, size: int, names: Sequence[str] | None) -> Iterator[RowBlock]:
        wanted = self.schema.names if names is None else list(names)
        schema = pa.schema([self.schema.field(name) for name in wanted])
        for part in self.parts:
            own = [name for name in wanted if name in part.schema.names]
            for block in part.blocks(size, own):
                yield RowBlock(fit_schema(block.items, schema), block.vectors)

    def _maps(self) -> Iterator[np.ndarray]:
        for part in self.parts:
            if part.features is not None:
                yield from part.features.blocks()


def open_parts(folder: Path, vouched: ModelSpec | None = None, whole: bool = True) -> PartsSource:
    """All part-*.parquet of a folder in name order; raises DataError when they do not fit.

    Of shards all must be there, unless it need not be `whole`.
    """
    paths = sorted(folder.glob("part-*.parquet"))
    if not paths:
        if next(folder.glob("part-*.parquet.parts"), None):
            raise DataError(f"{folder}: none of its shards is finished", _ONCE_MORE)
        raise not_embeddings(folder)
    parts = [_open_part(path, vouched) for path in paths]
    first = parts[0]
    for path, part in zip(paths, parts, strict=True):
        if not first.model.same_embedding(part.model) or first.made != part.made:
            raise DataError(f"{path}: not made by the model of {paths[0].name}", _OTHER)
        if part.dim != first.dim:
            raise DataError(f"{path}: vectors of another length than in {paths[0].name}", _OTHER)
        if part.found.features != first.found.features:
            raise DataError(
                f"{path}: feature maps of another shape than in {paths[0].name}", _OTHER
            )
    missing = missing_shards(parts)
    count = 0 if first.shard is None else first.shard.count
    if whole:
        refuse_missing(folder, missing, count)
    parts.sort(key=lambda part: 0 if part.shard is None else part.shard.number)
    return PartsSource(parts, join_schemas([part.schema for part in parts]), count, missing)


def _open_part(path: Path, vouched: ModelSpec | None) -> ParquetSource:
    try:
        return open_parquet(path, vouched)
    except DataError as error:
        raise DataError(str(error), error.hint or _ONCE_MORE) from None
