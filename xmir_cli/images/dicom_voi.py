"""The view of a picture that a DICOM file asks for: its VOI tables and windows.

Source: DICOM PS3.3, C.11.2 and C.7.6.16.2.10.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from xmir_cli.errors import ItemError
from xmir_cli.images.dicom_lut import Table, read_table
from xmir_cli.images.dicom_numbers import read_numbers
from xmir_cli.images.window import Function, Voi, apply_window, stretch

if TYPE_CHECKING:
    from pydicom.dataset import Dataset, FileDataset

_FUNCTIONS: dict[str, Function] = {
    "": "LINEAR",
    "LINEAR": "LINEAR",
    "LINEAR_EXACT": "LINEAR_EXACT",
    "SIGMOID": "SIGMOID",
}


def apply_voi(
    dataset: "FileDataset", values: np.ndarray, index: int
) -> tuple[np.ndarray | None, list[str]]:
    """Greys [H, W] in 0..255 by the first table or window that can be used, and what was done.

    Values [H, W] are in modality units; without a table and a window there are no greys.
    """
    done: list[str] = []
    tables = [_table(item, dataset) for item in dataset.get("VOILUTSequence") or []]
    for number, table in enumerate(tables, 1):
        if table is not None:
            # black and white are those of the bits that are used: others could never be reached
            used = "" if table.bits == table.declared else f" of {table.bits} bits"
            greys = stretch(table.look_up(values), 0, (1 << table.bits) - 1)
            return greys, [f"VOI table{used}{_which(number, len(tables))}"]
    if tables:
        done.append("unusable VOI table")
    windows = _windows(dataset, index)
    for number, voi in enumerate(windows, 1):
        if voi is not None:
            function = "" if voi.function == "LINEAR" else f" {voi.function}"
            name = f"window {voi.center:g},{voi.width:g}{function}{_which(number, len(windows))}"
            return apply_window(values, voi), [*done, name]
    if windows:
        done.append("unusable window")
    return None, done


def of_frame(dataset: "FileDataset", index: int, sequence: str, keyword: str) -> "Dataset":
    """The data set that tells `keyword` for this frame: of its own groups, the shared, the file."""
    items = _items(dataset, index, sequence)
    return next((item for item in items if read_numbers(item, keyword)), dataset)


def _which(number: int, count: int) -> str:
    return "" if number == 1 else f" ({number} of {count})"


def _table(item: "Dataset", dataset: "FileDataset") -> Table | None:
    """The table of an item; None for one that cannot be used, or shows all values alike."""
    try:
        table = read_table(item, dataset)
    except ItemError:
        return None
    return table if table.entries.min() < table.entries.max() else None


def _windows(dataset: "FileDataset", index: int) -> list[Voi | None]:
    """Every window of a frame, None for one that cannot be used."""
    return [voi for item in _items(dataset, index, "FrameVOILUTSequence") for voi in _read(item)]


def _read(item: "Dataset") -> list[Voi | None]:
    centers, widths = read_numbers(item, "WindowCenter"), read_numbers(item, "WindowWidth")
    text = str(item.get("VOILUTFunction") or "").strip().upper().replace(" ", "_")
    function = _FUNCTIONS.get(text)
    found: list[Voi | None] = []
    for place in range(max(len(centers), len(widths))):
        center = centers[place] if place < len(centers) else None
        width = widths[place] if place < len(widths) else None
        voi = None
        if center is not None and width is not None and function is not None:
            voi = Voi(center, width, function)
        found.append(voi if voi is not None and voi.usable else None)
    return found


def _items(dataset: "FileDataset", index: int, sequence: str) -> "Iterator[Dataset]":
    own = dataset.get("PerFrameFunctionalGroupsSequence") or []
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    for group in [*own[index : index + 1], *shared[:1]]:
        yield from (group.get(sequence) or [])[:1]
    yield dataset
