"""What stands in a line of a list: names of files, or an object with an image's columns."""

import os
from typing import cast

from xmir_cli.errors import DataError
from xmir_cli.store.cells import KEYS, Cell, to_text
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
    kept = {
        name: to_text(value) if name in KEYS and name != "path" else value
        for name, value in record.items()
        if name != "schema" and _is_cell(name, value)
    }
    return {
        name: None if value == "" else cast("Cell | None", value) for name, value in kept.items()
    }


def _is_cell(name: str, value: object) -> bool:
    return (
        value is None
        or isinstance(value, str | int | float)
        or (name == "label" and isinstance(value, list))
    )
