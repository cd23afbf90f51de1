"""What stands in a line of a list: names of files, or an object with an image's columns."""

import os
from typing import cast

from xmir_cli.errors import DataError
from xmir_cli.store.cells import KEYS, Cell, clean, to_text
from xmir_cli.store.manifest import ManifestRow
from xmir_cli.wire.records import Record


def split_line(line: str, number: int) -> list[str]:
    """The names in a line of a list, where lines may also end as in Windows and old Macs."""
    if "\0" in line:
        raise DataError(
            f"standard input: line {number}: a NUL byte",
            "Names that end with NUL bytes are read with `null`.",
        )
    if "\r" not in line or os.path.lexists(line):
        return [line]
    return [name for name in line.split("\r") if name]


def cells_of(record: Record) -> ManifestRow:
    """What of a record are columns of an image."""
    return {
        name: _cell(name, value)
        for name, value in record.items()
        if name != "schema" and _is_cell(name, value)
    }


def _cell(name: str, value: object) -> Cell | None:
    if name == "path":
        return cast("Cell | None", value)
    if name in KEYS:
        return to_text(value)
    return clean(value) if isinstance(value, str) else cast("Cell | None", value)


def _is_cell(name: str, value: object) -> bool:
    return (
        value is None
        or isinstance(value, str | int | float)
        or (name == "label" and isinstance(value, list))
    )
