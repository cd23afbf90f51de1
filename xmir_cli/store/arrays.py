"""NumPy files: written in one atomic step, read only when the header tells the truth."""

import hashlib
import io
import math
import os
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np

from xmir_cli.errors import DataError
from xmir_cli.store.atomic import atomic_file
from xmir_cli.store.regular import open_regular, refuse_larger

_HEADER_LIMIT = 10_000  # characters
_LIMIT = 4 << 30  # bytes of vectors
MAP_LIMIT = 256 << 20  # bytes of a map or mask: 4096 x 4096 float64 and as much again


def write_array(path: Path, array: np.ndarray) -> None:
    """Write an array of plain numbers as `.npy`; equal arrays give equal bytes."""
    with atomic_file(path) as file:
        file.writelines(_parts(array))  # tofile() would lose why a write failed


def write_small_array(path: Path, array: np.ndarray) -> str:
    """The same for one of many, which are compared with their checksum when they are read.

    Returns the SHA-256 of the file, in hexadecimal. It is not settled on the disk.
    """
    header, numbers = _parts(array)
    with atomic_file(path, settled=False) as file:
        file.write(header)
        file.write(numbers)
    sha256 = hashlib.sha256(header)
    sha256.update(numbers)
    return sha256.hexdigest()


def _parts(array: np.ndarray) -> tuple[bytes, memoryview]:
    """The header of a `.npy` file, and its numbers."""
    array = np.ascontiguousarray(array)
    return array_header(array.shape, array.dtype), to_bytes(array)


def to_bytes(array: np.ndarray) -> memoryview:
    """The numbers of a contiguous array as they lie in memory."""
    return array.reshape(-1).view(np.uint8).data


@lru_cache
def array_header(shape: tuple[int, ...], kind: np.dtype) -> bytes:
    """How a `.npy` file begins whose numbers follow in C order."""
    header = io.BytesIO()
    told = {"descr": kind.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, told)
    return header.getvalue()


def write_blocks(
    path: Path, shape: tuple[int, ...], kind: np.dtype, blocks: Iterable[np.ndarray]
) -> None:
    """Write an array of that shape as `.npy`, given in blocks of its first dimension.

    For a folder that comes into being as a whole: the file is there before its last block is.
    """
    for _ in write_through(path, shape, kind, blocks):
        pass


def write_through(
    path: Path, shape: tuple[int, ...], kind: np.dtype, blocks: Iterable[np.ndarray]
) -> Iterator[np.ndarray]:
    """The same, and each block as it was written."""
    with path.open("xb") as file:
        file.write(array_header(shape, kind))
        for block in blocks:
            numbers = np.ascontiguousarray(block, kind)
            file.write(numbers.reshape(-1).view(np.uint8).data)
            yield numbers


def read_array(path: Path, limit: int = _LIMIT) -> np.ndarray:
    """The array in a `.npy` file, C-contiguous and in this machine's byte order.

    Raises DataError, before any memory is taken, unless it holds real numbers and exactly the bytes
    that its header announces, `limit` at the most; and when a number is NaN or infinite.
    """
    with open_regular(path) as file:
        refuse_larger(path, file, limit)
        shape, fortran, kind = _header(path, file)
        values = np.fromfile(file, kind, math.prod(shape))
    array = values.reshape(shape, order="F" if fortran else "C")
    array = np.ascontiguousarray(array, dtype=kind.newbyteorder("="))
    if not np.isfinite(array).all():
        raise DataError(f"{path}: holds NaN or infinity")
    return array


def shape_of(path: Path) -> list[int]:
    """The shape that a `.npy` file announces and holds; raises DataError otherwise."""
    with open_regular(path) as file:
        return list(_header(path, file)[0])


def _header(path: Path, file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, order and type; leaves the file at the first number."""
    try:
        version = np.lib.format.read_magic(file)
        reader = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, fortran, kind = reader(file, max_header_size=_HEADER_LIMIT)
    except Exception:  # noqa: BLE001 # the header is parsed as Python text: SyntaxError, MemoryError..
        raise DataError(f"{path}: not a NumPy file (.npy)") from None
    if kind.kind not in "fiub" or min(shape, default=1) < 0:
        raise DataError(f"{path}: expected an array of real numbers, found {kind} {shape}")
    expected = math.prod(shape) * kind.itemsize
    found = os.fstat(file.fileno()).st_size - file.tell()
    if expected != found:
        raise DataError(f"{path}: expected {expected} bytes of numbers, found {found}; cut short?")
    return shape, fortran, kind
