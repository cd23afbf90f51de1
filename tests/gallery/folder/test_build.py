"""Building an index holds a block of its rows."""

import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from xmir_cli.gallery.folder.build import write_gallery
from xmir_cli.gallery.folder.engine import open_gallery
from xmir_cli.gallery.protocol import Build
from xmir_cli.gallery.usable import usable_rows
from xmir_cli.store.embedding_table import RowBlock
from xmir_cli.wire.model import ModelSpec

DIM = 64


class Endless:
    """Rows that are made when they are asked for."""

    dim, features = DIM, None
    model = ModelSpec("tiny", "random:0", weights_sha256="ab" * 32)

    def __init__(self, rows: int, most: int = 8192) -> None:
        self.rows, self.most, self.made = rows, most, {}

    def blocks(self, size: int, names: Sequence[str] | None = None) -> Iterator[RowBlock]:
        assert names in (None, ["id"])
        for start in range(0, self.rows, min(size, self.most)):
            rows = range(start, min(start + size, start + self.most, self.rows))
            vectors = np.zeros((len(rows), DIM), np.float32)
            vectors[np.arange(len(rows)), np.array(rows) % DIM] = 1
            yield RowBlock(pa.table({"id": [f"i{row}" for row in rows]}), vectors)


@pytest.mark.parametrize("store", ["float32", "float16"])
def test_memory_does_not_grow_with_the_vectors(store, monkeypatch):
    for module in ("usable", "folder.build"):
        monkeypatch.setattr(f"xmir_cli.gallery.{module}._ROWS", 1024)
    peaks = []
    for rows in (4096, 12_288):
        tracemalloc.start()
        before = pa.total_allocated_bytes()
        source = usable_rows(Endless(rows), pytest.fail)
        write_gallery(source, Path("a.xmir"), Build("exact", store=store))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert pa.total_allocated_bytes() - before < 1 << 20
    assert len(open_gallery("a.xmir")) == 12_288
    assert peaks[1] - peaks[0] < 8192 * 40  # bytes; the vectors of a row have 256


@pytest.mark.parametrize("most", [3000, 12_000])
def test_how_rows_come_shows_in_no_byte(most):
    for name, rows in (("a.xmir", Endless(12_000)), ("b.xmir", Endless(12_000, most))):
        write_gallery(usable_rows(rows, pytest.fail), Path(name), Build("exact"))
    for name in ("vectors.npy", "items.parquet", "manifest.json"):
        assert Path("a.xmir", name).read_bytes() == Path("b.xmir", name).read_bytes()
