"""Embeddings as a stream of Arrow, from a file or from standard input."""

import io
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from xmir_cli.errors import DataError
from xmir_cli.store.embedding_header import EMBEDDING, Header, check_schema
from xmir_cli.store.embedding_readers import READ_ERRORS, empty_batch, to_blocks
from xmir_cli.store.embedding_source import even_blocks
from xmir_cli.store.embedding_table import SUM, RowBlock, hash_batch, items_schema
from xmir_cli.store.features import FEATURE_COLUMN, FeatureMaps, maps_of
from xmir_cli.wire.model import ModelSpec

_DAMAGED = "damaged or cut Arrow stream"


@dataclass(frozen=True)
class StreamSource:
    """A stream that can be read again from its start; an `EmbeddingSource`."""

    where: str
    header: Header
    rows: int  # as its header promises
    dim: int
    schema: pa.Schema  # of the items
    restart: Callable[[], BinaryIO]

    @property
    def model(self) -> ModelSpec:
        """What made them."""
        return self.header.model

    @property
    def made(self) -> Mapping[str, str]:
        """Precision and the like."""
        return self.header.made

    @property
    def features(self) -> FeatureMaps | None:
        """The last feature maps."""
        shape = self.header.features
        return None if shape is None or not self.rows else FeatureMaps(shape, self._maps)

    def blocks(self, size: int, names: Sequence[str] | None = None) -> Iterator[RowBlock]:
        """The rows, as `EmbeddingSource` says."""
        wanted = self.schema.names if names is None else list(names)
        batches = self._batches([*wanted, EMBEDDING])
        each = to_blocks(self.where, batches, self.dim, wanted, _DAMAGED)
        return even_blocks(each, size) if self.rows else each

    def _maps(self) -> Iterator[np.ndarray]:
        assert self.header.features is not None
        for batch in self._batches([FEATURE_COLUMN]):
            yield maps_of(self.where, batch.column(FEATURE_COLUMN), self.header.features)

    def _batches(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Those of the columns that the stream has, a batch after the other."""
        found = 0
        try:
            with self.restart() as stream:
                reader = pa.ipc.open_stream(stream)
                there = [name for name in names if name in reader.schema.names]
                for batch, told in reader.iter_batches_with_custom_metadata():
                    batch.validate(full=True)
                    if self.header.summed and (told or {}).get(SUM) != hash_batch(batch).encode():
                        raise ValueError
                    found += len(batch)
                    yield batch.select(there)
                if not self.rows:
                    yield empty_batch(reader.schema, there)
        except READ_ERRORS:
            raise DataError(f"{self.where}: {_DAMAGED}") from None
        if found != self.rows:
            raise DataError(
                f"{self.where}: expected {self.rows} rows, found {found}; did its writer die?"
            )


def open_stream(where: str, restart: Callable[[], BinaryIO]) -> StreamSource:
    """What a stream promises; `restart` opens it at its start; raises DataError for another one."""
    try:
        with restart() as stream:
            schema = pa.ipc.open_stream(stream).schema
        header = check_schema(where, schema)
        if header.dim is None or header.rows is None:
            raise ValueError("only xmir writes streams")
        items = items_schema(where, schema, header.features is not None)
    except READ_ERRORS:
        raise DataError(f"{where}: {_DAMAGED}") from None
    return StreamSource(where, header, header.rows, header.dim, items, restart)


class Kept:
    """A stream that comes once, kept on the disk as it comes, so that it can be read again."""

    def __init__(self, start: bytes, rest: BinaryIO, folder: Path | None = None) -> None:
        """`start` has been taken from `rest`; what came lies in `folder`, in a nameless file."""
        self._rest = rest
        self._folder = folder or Path(tempfile.gettempdir())
        self._kept = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 # see below
        weakref.finalize(self, self._kept.close)
        self._size = self._kept.write(start)

    def restart(self) -> BinaryIO:
        """The stream from its start."""
        return io.BufferedReader(_Again(self), 1 << 20)

    def read(self, place: int, count: int) -> bytes:
        """Up to `count` bytes from `place` on, which is not beyond what came; none at the end."""
        if place < self._size:
            self._kept.seek(place)
            return self._kept.read(min(count, self._size - place))
        data = self._rest.read(count)
        try:
            self._kept.seek(place)
            self._size += self._kept.write(data)
        except OSError as error:
            raise DataError(
                f"{self._folder}: {(error.strerror or 'full').lower()}; a stream is kept there"
            ) from None
        return data


class _Again(io.RawIOBase):
    """One reading of what is kept."""

    def __init__(self, kept: Kept) -> None:
        super().__init__()
        self._kept, self._place = kept, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # the stub is wider
        data = self._kept.read(self._place, len(buffer))
        self._place += len(data)
        buffer[: len(data)] = data
        return len(data)
