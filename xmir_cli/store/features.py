"""The last feature maps of images in float16: a hundred kilobytes each, so they come in blocks."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xmir_cli.causes import Cause
from xmir_cli.errors import DataError, ItemError

FEATURE_COLUMN = "feature_map"  # the column: the bytes of one map, row-major
KIND = np.dtype("<f2")
Shape = tuple[int, int, int]  # channels, rows, columns
_BLOCK = 64 << 20  # bytes held at once


@dataclass(frozen=True)
class FeatureMaps:
    """The feature maps [N, C, h, w] of a table's rows, in blocks that come as often as asked."""

    shape: Shape
    blocks: Callable[[], Iterator[np.ndarray]]  # [n, C, h, w] float16, n as it comes

    def only(self, wanted: np.ndarray) -> "FeatureMaps":
        """The maps of the rows that are true in `wanted` [N]."""

        def blocks() -> Iterator[np.ndarray]:
            start = 0
            for block in self.blocks():
                yield block[wanted[start : start + len(block)]]
                start += len(block)

        return FeatureMaps(self.shape, blocks)


def narrow_map(values: np.ndarray) -> np.ndarray:
    """A map in float16.

    Raises ItemError when a value is none of float16, whose largest is 65504.
    """
    with np.errstate(over="ignore"):
        narrow = values.astype(KIND)
    if not is_finite(narrow):
        raise ItemError(Cause.BAD_FEATURES, "a value of the feature map is beyond float16 (65504)")
    return narrow


def block_rows(shape: Shape) -> int:
    """How many maps are held at once."""
    return max(1, _BLOCK // (math.prod(shape) * KIND.itemsize))


def column_of(maps: np.ndarray) -> tuple[pa.Field, pa.Array]:
    """Maps [n, C, h, w] as the column of a table."""
    kind = pa.binary(math.prod(maps.shape[1:]) * KIND.itemsize)
    data = pa.py_buffer(np.ascontiguousarray(maps, KIND))
    column = pa.FixedSizeBinaryArray.from_buffers(kind, len(maps), [None, data])
    return pa.field(FEATURE_COLUMN, kind, nullable=False), column


def maps_of(where: str, column: pa.ChunkedArray | pa.Array, shape: Shape) -> np.ndarray:
    """The maps [n, C, h, w] of such a column; raises DataError for missing ones and infinities."""
    values = pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column
    size = math.prod(shape) * KIND.itemsize
    if values.null_count or not _are_maps(values, size):
        raise DataError(f"{where}: column {FEATURE_COLUMN}: missing feature maps")
    if values.type == pa.binary(size):
        data = values.buffers()[1].slice(values.offset * size, len(values) * size)
    else:  # as other programs write them
        data = b"".join(values.to_pylist())
    maps = np.frombuffer(data, KIND).reshape(-1, *shape)
    if not is_finite(maps):
        raise DataError(f"{where}: column {FEATURE_COLUMN}: NaN or infinity")
    return maps


def _are_maps(values: pa.Array, size: int) -> bool:
    """Whether each value is `size` bytes, in whichever of Arrow's layouts."""
    if values.type in {pa.binary(), pa.large_binary()}:
        return set(pc.unique(pc.binary_length(values)).to_pylist()) <= {size}
    return bool(values.type == pa.binary(size))


def is_finite(maps: np.ndarray) -> bool:
    """Whether no number of float16 is NaN or infinite; several times as fast as np.isfinite."""
    exponent = np.uint16(0x7C00)
    return not ((maps.view("<u2") & exponent) == exponent).any()


def shape_text(shape: Shape) -> str:
    """The shape as metadata holds it: 1024x7x7."""
    return "x".join(map(str, shape))


def parse_shape(text: str) -> Shape:
    """The shape that `shape_text` wrote; ValueError for anything else."""
    channels, rows, columns = (int(side) for side in text.split("x"))
    if min(channels, rows, columns) < 1:
        raise ValueError(text)
    return channels, rows, columns
