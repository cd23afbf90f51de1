"""Vectors in a nameless file that is mapped: memory holds those that are looked at alone."""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from xmir_cli.errors import DataError

_HELD = 64 << 20  # bytes of vectors that need no file


def keep_vectors(
    blocks: Iterable[NDArray[np.float32]], folder: Path | None = None
) -> NDArray[np.float32]:
    """The rows [N, D] of blocks [n, D], one block or more, mapped from a file that goes with them.

    It lies in `folder`, or where temporary files do; raises DataError where it has no room.
    """
    place, count, dim = Path(folder or tempfile.gettempdir()), 0, 0
    with tempfile.TemporaryFile(dir=place, buffering=0) as file:
        for block in blocks:
            _write(np.ascontiguousarray(block, np.float32), file, place)
            count, dim = count + len(block), block.shape[1]
        if not count:
            return np.empty((0, dim), np.float32)
        return np.memmap(file, np.float32, "r", shape=(count, dim))


def gather_vectors(
    blocks: Iterable[NDArray[np.float32]], rows: int, dim: int
) -> NDArray[np.float32]:
    """The `rows` vectors [N, D] of blocks [n, D], one or more: in memory if few, else kept."""
    if rows * dim * np.dtype(np.float32).itemsize > _HELD:
        return keep_vectors(blocks)
    return np.concatenate(list(blocks))


def _write(rows: NDArray[np.float32], file: BinaryIO, place: Path) -> None:
    left = memoryview(rows.tobytes())
    try:
        while left:
            left = left[file.write(left) :]
    except OSError as error:
        said = (error.strerror or "full").lower()
        raise DataError(f"{place}: {said}; vectors are kept there") from None
