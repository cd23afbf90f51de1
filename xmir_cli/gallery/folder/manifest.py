"""What an index folder says of itself: what is in it, what made it, and the checksums."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from xmir_cli import __version__
from xmir_cli.errors import DataError
from xmir_cli.gallery.protocol import GraphSettings, SearchKind
from xmir_cli.store.hashes import sha256_file
from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.records import Record

INDEX_SCHEMA = "xmir.index/1"
NAME = "manifest.json"
VECTORS, ITEMS, GRAPH = "vectors.npy", "items.parquet", "graph.hnsw"
FEATURES_FILE = "features.npy"  # of its files, where the embeddings came with feature maps
AGAIN = "Build it again with 'xmir index'."


@dataclass(frozen=True)
class Manifest:
    """One index: its size, its model, how it was built and what its files are."""

    kind: SearchKind
    rows: int
    dim: int
    model: ModelSpec
    files: Mapping[str, tuple[int, str]]  # name: bytes, SHA-256
    settings: GraphSettings | None  # of an HNSW index
    recall_at_10: float | None  # of an HNSW index, against exact search, measured when it was built

    def to_json(self) -> Record:
        """The manifest as plain data; `checksum` is over all the rest."""
        data: Record = {
            "schema": INDEX_SCHEMA,
            "kind": self.kind,
            "rows": self.rows,
            "dim": self.dim,
            "model": self.model.to_json(),
            "files": {
                name: {"bytes": size, "sha256": sha256}
                for name, (size, sha256) in self.files.items()
            },
            "settings": {} if self.settings is None else asdict(self.settings),
            "recall_at_10": self.recall_at_10,
            "version": __version__,
        }
        return {**data, "checksum": _checksum(data)}


def read_index_manifest(folder: Path) -> Manifest:
    """The manifest of the index `folder`; raises DataError when there is none or it is damaged."""
    try:
        text = (folder / NAME).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(f"{folder}: not an xmir index (no {NAME} in it)") from None
    try:
        data = json.loads(text)
        checksum = data.pop("checksum")
    except (ValueError, RecursionError, AttributeError, KeyError, TypeError):
        raise DataError(f"{folder / NAME}: not the manifest of an xmir index", AGAIN) from None
    if data.get("schema") != INDEX_SCHEMA:
        raise DataError(
            f"{folder / NAME}: schema: expected {INDEX_SCHEMA}, found {data.get('schema')!r}"
        )
    if checksum != _checksum(data):
        raise DataError(f"{folder / NAME}: damaged index (checksum)", AGAIN)
    try:
        return _parse(data, str(folder / NAME))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise DataError(f"{folder / NAME}: not the manifest of an xmir index", AGAIN) from None


def describe(path: Path) -> tuple[int, str]:
    """What the manifest holds of a file: bytes and SHA-256."""
    return path.stat().st_size, sha256_file(path)


def verify(folder: Path, name: str, manifest: Manifest) -> Path:
    """The path of one of the index's files, its bytes compared with the manifest; or DataError."""
    path = folder / name
    if name not in manifest.files or not path.is_file():
        raise DataError(f"{path}: damaged index (missing)", AGAIN)
    if describe(path) != manifest.files[name]:
        raise DataError(f"{path}: damaged index (checksum)", AGAIN)
    return path


def _parse(data: Mapping[str, object], where: str) -> Manifest:
    files = cast("dict[str, dict[str, object]]", data["files"])
    settings = cast("dict[str, int]", data["settings"])
    recall = cast("float | None", data["recall_at_10"])
    return Manifest(
        kind=cast("SearchKind", data["kind"]),
        rows=cast("int", data["rows"]),
        dim=cast("int", data["dim"]),
        model=ModelSpec.from_json(data["model"], where),
        files={
            name: (cast("int", file["bytes"]), str(file["sha256"])) for name, file in files.items()
        },
        settings=GraphSettings(**settings) if settings else None,
        recall_at_10=recall,
    )


def _checksum(data: Mapping[str, object]) -> str:
    text = json.dumps(data, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
