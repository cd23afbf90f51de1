"""Concepts as files: a unit direction NAME.npy, its chance NAME.shuffled.npy, and NAME.json.

The last, which is written last, says what made the others and what their checksums are; without it
they are no concept. A direction means something to embeddings of its own model alone.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xmir_cli.errors import DataError
from xmir_cli.store.arrays import read_array, write_array
from xmir_cli.store.atomic import atomic_file
from xmir_cli.store.concept_names import concept_files, concept_name, shuffled_path
from xmir_cli.store.hashes import sha256_file
from xmir_cli.store.kinds import called, find_kind
from xmir_cli.store.maps import SUM, hash_description
from xmir_cli.store.regular import DESCRIPTION_LIMIT, read_regular
from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.concept import ConceptRecord
from xmir_cli.wire.strict import parse_json

SCHEMA = ConceptRecord.NAME
_MODEL, _DIRECTION, _SHUFFLED = "model", "sha256", "shuffled_sha256"
_ROUNDING = 1e-4  # how far from 1 the length of a direction may be
_MAKE = "'xmir concept fit' makes one."


@dataclass(frozen=True, eq=False)
class StoredConcept:
    """A direction that was read from its file."""

    path: str  # as it was named
    name: str  # what it is called
    sha256: str  # of the file
    direction: np.ndarray  # [D] float32, of length 1
    model: ModelSpec

    def read_shuffled(self) -> np.ndarray:
        """The unit directions of shuffled examples [K, D]; raises DataError without them."""
        path = shuffled_path(Path(self.path))
        if not path.is_file():
            raise DataError(f"{path}: no such file; it lies beside {self.path} for its p", _MAKE)
        found = read_array(path)
        if sha256_file(path) != _describe(Path(self.path)).get(_SHUFFLED):
            raise DataError(f"{path}: not the one that was made with {self.path}", _MAKE)
        if found.ndim != 2 or found.shape[1] != len(self.direction):
            raise DataError(f"{path}: expected directions of {len(self.direction)} numbers")
        return found.astype(np.float32)


def write_concept(
    path: Path, direction: np.ndarray, shuffled: np.ndarray, model: ModelSpec, told: Record
) -> str:
    """Write a direction [D], those of shuffled examples [K, D], and what `told` says of them.

    What lay there is none from the first to the last of it. Returns the SHA-256 of the direction's
    file.
    """
    own, chance, description = concept_files(path)
    description.unlink(missing_ok=True)
    write_array(chance, np.asarray(shuffled, np.float32))
    write_array(own, np.asarray(direction, np.float32))
    sha256 = sha256_file(own)
    content: Record = {
        "schema": SCHEMA,
        **told,
        _MODEL: model.to_json(),
        _DIRECTION: sha256,
        _SHUFFLED: sha256_file(chance),
    }
    content = {**content, SUM: hash_description(content)}
    with atomic_file(description) as file:
        file.write(json.dumps(content, indent=1, sort_keys=True, allow_nan=False).encode() + b"\n")
    return sha256


def read_concept(name: str) -> StoredConcept:
    """The concept in a file; raises DataError for anything else, and for one that was changed."""
    path = Path(name)
    kind = find_kind(path)
    if kind not in {"", "array"}:
        raise DataError(f"{name}: no concept (.npy), but {called(kind)}", _MAKE)
    direction = read_array(path)
    told = _describe(path)
    if not told:
        raise DataError(f"{name}: no concept: {path.with_suffix('.json')} is not beside it", _MAKE)
    sha256 = sha256_file(path)
    if sha256 != told.get(_DIRECTION):
        raise DataError(f"{name}: not the direction that {path.with_suffix('.json')} tells of")
    if direction.ndim != 1 or abs(float(np.linalg.norm(direction)) - 1) > _ROUNDING:
        raise DataError(f"{name}: expected one direction of length 1")
    model = ModelSpec.from_json(told.get(_MODEL), str(path.with_suffix(".json")))
    return StoredConcept(name, concept_name(name), sha256, direction.astype(np.float32), model)


def is_concept(path: Path) -> bool:
    """Whether an array has the description of a concept beside it."""
    try:
        return bool(_describe(path))
    except DataError:
        return False


def _describe(path: Path) -> Mapping[str, object]:
    """What the .json beside a direction says; nothing without one, or of another thing."""
    beside = path.with_suffix(".json")
    if not beside.is_file():
        return {}
    try:
        told = parse_json(read_regular(beside, DESCRIPTION_LIMIT))
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise DataError(f"{beside}: damaged description of a concept")
    if told.get("schema") != SCHEMA:
        return {}
    if told.get(SUM) != hash_description(told):
        raise DataError(f"{beside}: damaged description of a concept (checksum)")
    return told
