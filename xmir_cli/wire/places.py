"""Paths in records that move with their file: relative ones start where the record lies.

A folder of records and maps may move alone, too: `out/a.npy` in `elsewhere/s.jsonl` is
`elsewhere/out/a.npy`, else `out/a.npy` from the current folder, else `elsewhere/a.npy`.
"""

import os

from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas import path_keys

_FRAME = "#frame="  # behind the path of an image: which of its pictures


def localize(record: Record, folder: str) -> Record:
    """The record with its relative paths as they are to be opened from the current folder.

    A path that is there from `folder`, where the record's file lies, is that one. One that is not
    there either way is looked for from `folder` without its leading folders. Every other stays as
    it is.
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
    parts = [part for part in value.split("/") if part]
    if not parts:
        return value
    ends = (os.path.join(folder, *parts[start:]) for start in range(len(parts)))  # noqa: PTH118 # as above
    candidates = [next(ends), value, *ends]
    return next((path for path in candidates if _is_there(path)), value)


def _is_there(path: str) -> bool:
    return os.path.lexists(path) or os.path.lexists(path.rpartition(_FRAME)[0])
