"""A checksum over the footer of a Parquet file, which tells names, types and places of all columns.

It lies before the footer, where no reader of Parquet looks, so a file that another program has
written again has none; nor do files of earlier versions.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import pyarrow.parquet as pq

_MARK = b"xmir.sha256:"
_SIZE = len(_MARK) + hashlib.sha256().digest_size
_END = 8  # bytes at the end: the length of the footer, and the letters PAR1


class _Held:
    """A file of which the end can be held back."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.closed, self.tail = file, False, bytearray()
        self.holds = False

    def write(self, data: bytes) -> int:
        """Write to the file, or to what is held back."""
        if self.holds:
            self.tail += data
            return len(data)
        return self.file.write(data)

    def flush(self) -> None:
        """Nothing: the file is flushed by whoever opened it."""

    def tell(self) -> int:
        """Where the next byte goes."""
        return self.file.tell() + len(self.tail)


@contextmanager
def summed_writer(file: BinaryIO, *args: object, **settings: object) -> Iterator[pq.ParquetWriter]:
    """A ParquetWriter on the file, of which the footer has a checksum."""
    held = _Held(file)
    with pq.ParquetWriter(held, *args, **settings) as writer:
        yield writer
        held.holds = True
    file.write(_MARK + hashlib.sha256(held.tail).digest() + held.tail)


def check_footer(file: BinaryIO) -> bool:
    """Whether the footer of a Parquet file has a checksum; ValueError when it has another one.

    Leaves the file at its start.
    """
    size = os.fstat(file.fileno()).st_size
    file.seek(max(0, size - _END))
    length = int.from_bytes(file.read(_END)[:4], "little") + _END
    start = size - length - _SIZE
    file.seek(max(0, start))
    mark, told = file.read(len(_MARK)), file.read(_SIZE - len(_MARK))
    summed = start > 0 and mark == _MARK
    found = hashlib.sha256(file.read()).digest() if summed else told
    file.seek(0)
    if found != told:
        raise ValueError(_MARK)
    return summed
