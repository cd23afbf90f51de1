"""Paths in records that move with their file: relative ones start where the record lies."""

import os

from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas import path_keys

_FRAME = "#frame="  # behind the path of an image: which of its pictures


def localize(record: Record, folder: str) -> Record:
    """The record with its relative paths as they are to be opened from the current folder.

    A path that is there from `folder`, where the record's file lies, is that one; every other stays
    as it is.
    """
    moved = {
        name: _localize(value, folder)
        for name, value in record.items()
        if name in path_keys() and value
    }
    return {**record, **moved}


def _localize(value: object, folder: str) -> object:
    if isinstance(value, list):
        return [_localize(each, folder) for each in value]
    if not isinstance(value, str) or os.path.isabs(value):  # noqa: PTH117 # any text may stand here
        return value
    path = os.path.join(folder, value)  # noqa: PTH118 # as above
    there = os.path.lexists(path) or os.path.lexists(path.rpartition(_FRAME)[0])
    return path if there else value
