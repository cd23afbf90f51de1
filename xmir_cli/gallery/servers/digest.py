"""A name for items and their vectors, whatever they are kept in and read by."""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xmir_cli.gallery.vectors import Vectors

ROWS = 8192  # of a block; every block but the last has as many


class Digest:
    """The SHA-256 of items in their order: names, types and values of columns, and vectors."""

    def __init__(self) -> None:
        self._sum = hashlib.sha256()

    def add(self, items: pa.Table, vectors: Vectors) -> Vectors:
        """Take the next block in, of `ROWS` items; its vectors as they are."""
        for name in items.column_names:
            texts = _texts(items[name])
            told = f"{name}\0{_value_type(items[name].type)}\0{len(texts)}\0"
            self._sum.update(told.encode())
            valid = np.packbits(pc.is_valid(texts).to_numpy(zero_copy_only=False))
            self._sum.update(valid.tobytes())
            filled = pc.fill_null(texts, "")
            self._sum.update(pc.binary_length(filled).to_numpy().astype("<i8").tobytes())
            self._sum.update("".join(filled.to_pylist()).encode())
        self._sum.update(np.ascontiguousarray(vectors, "<f4").tobytes())
        return vectors

    @property
    def text(self) -> str:
        """The name."""
        return self._sum.hexdigest()


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _texts(column: pa.ChunkedArray) -> pa.Array:
    kind = _value_type(column.type)
    wide = pa.float32() if kind == pa.float16() else kind
    return pc.cast(pc.cast(pc.cast(column, kind), wide), pa.string()).combine_chunks()
