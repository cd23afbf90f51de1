"""Saliency maps, compared with the hash that the .json beside each tells."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from xmir_cli.causes import Cause
from xmir_cli.errors import DataError, ItemError
from xmir_cli.store.arrays import MAP_LIMIT, read_array
from xmir_cli.store.hashes import sha256_file
from xmir_cli.store.regular import DESCRIPTION_LIMIT, read_regular
from xmir_cli.wire.strict import parse_json

MAP_SHA256 = "saliency_sha256"  # the key of the .json
SUM = "checksum"  # and that of its own, over all the rest


def read_map_file(path: Path) -> np.ndarray:
    """The map in a file, which is the one that was made where a .json beside it tells its hash.

    Raises DataError for a file that is no map, ItemError for another one.
    """
    saliency = read_array(path, MAP_LIMIT)
    if not is_recorded(path):
        raise ItemError(Cause.CHANGED, f"another map than the one that was made ({path})")
    return saliency


def is_recorded(path: Path) -> bool:
    """Whether a map's file is the one that the .json beside it tells of; so if none does."""
    recorded = find_sha256(path)
    return recorded is None or recorded == sha256_file(path)


def find_sha256(path: Path) -> object:
    """What the .json beside a map says its hash is; None without one. Raises DataError."""
    return read_beside(path).get(MAP_SHA256)


def read_beside(path: Path) -> Mapping[str, object]:
    """What the .json beside a map says; nothing without one. Raises DataError."""
    beside = path.with_suffix(".json")
    if not beside.is_file():
        return {}
    try:
        told = parse_json(read_regular(beside, DESCRIPTION_LIMIT))
    except ValueError:
        raise DataError(f"{beside}: damaged description of the map") from None
    if not isinstance(told, dict):
        return {}
    if told.get(SUM, hash_description(told)) != hash_description(told):
        raise DataError(f"{beside}: damaged description of the map (checksum)")
    return told


def hash_description(told: Mapping[str, object]) -> str:
    """The checksum of what the .json tells, but for the checksum itself."""
    rest = {name: value for name, value in told.items() if name != SUM}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
