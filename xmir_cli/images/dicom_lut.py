"""Lookup tables of DICOM files, modality and VOI, and what their faults mean.

Source: DICOM PS3.3, C.11.1.1 and C.11.2.1.1.
"""

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from xmir_cli.images.dicom_layout import contradiction, missing

if TYPE_CHECKING:
    from pydicom.dataset import Dataset, FileDataset

_WORD = 1 << 16
_HALF = 1 << 15


@dataclass(frozen=True)
class Table:
    """What values become."""

    entries: np.ndarray  # [N] unsigned
    first: int  # the value that has the first entry
    declared: int  # bits of an entry, as the file says

    @property
    def bits(self) -> int:
        """The bits that the entries use: some writers declare those of a word."""
        return max(int(self.entries.max()).bit_length(), 1)

    def look_up(self, values: np.ndarray) -> np.ndarray:
        """Entries for values [H, W]; those outside take the first or the last.

        pydicom's own apply_voi counts in the type of the entries: 8-bit tables begin again after
        256.
        """
        first = self.first
        if first >= _HALF and (values.min() < 0 or values.max() < first):
            first -= _WORD  # a signed number that was read as unsigned
        whole = np.rint(values) if values.dtype.kind == "f" else values
        places = np.clip(whole.astype(np.int64) - first, 0, len(self.entries) - 1)
        found: np.ndarray = self.entries[places]
        return found


def read_table(item: "Dataset", dataset: "FileDataset") -> Table:
    """The table of a sequence's item in a file; raises ItemError for one that cannot be used."""
    little = dataset.original_encoding[1] is not False
    return _read(item, "LUTDescriptor", "LUTData", little)


def read_palette(dataset: "FileDataset", color: str) -> Table:
    """The table of `Red`, `Green` or `Blue`; raises ItemError for one that cannot be used."""
    little = dataset.original_encoding[1] is not False
    name = f"{color}PaletteColorLookupTable"
    return _read(dataset, f"{name}Descriptor", f"{name}Data", little)


def _read(item: "Dataset", descriptor: str, content: str, little: bool) -> Table:
    numbers = _words(item.get(descriptor), little)
    if len(numbers) != 3:
        raise missing(descriptor)
    count, first, bits = int(numbers[0]) % _WORD or _WORD, int(numbers[1]), int(numbers[2])
    data = item.get(content)
    if not data:
        raise missing(content)
    packed = isinstance(data, bytes) and bits <= 8 and len(data) < 2 * count
    found = np.frombuffer(data, np.uint8) if packed else np.asarray(_words(data, little))
    entries = found.astype(np.int64) % _WORD
    if len(entries) < count:
        raise contradiction(f"a table of {len(entries)} entries, its tags say {count}")
    return Table(entries[:count].astype(np.uint16), first, bits)


def _words(value: object, little: bool) -> "np.ndarray | tuple[int, ...] | list[int]":
    """Numbers of 16 bits, whatever kind of element they came in."""
    if value is None:
        return ()
    if isinstance(value, bytes):
        count = len(value) // 2
        return struct.unpack(f"{'<' if little else '>'}{count}H", value[: 2 * count])
    return [int(number) for number in value]  # type: ignore[attr-defined] # a MultiValue
