"""What an index folder says of itself: what is in it, what made it, and the checksums."""

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast, get_args

import numpy as np

from xmir_cli import __version__
from xmir_cli.errors import DataError
from xmir_cli.gallery.protocol import GraphSettings, SearchKind, Store
from xmir_cli.gallery.vectors import Vectors
from xmir_cli.store.hashes import sha256_file
from xmir_cli.store.kinds import called, find_kind, next_step
from xmir_cli.store.regular import DESCRIPTION_LIMIT, read_regular
from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.records import Record
from xmir_cli.wire.strict import parse_json

INDEX_SCHEMA = "xmir.index/1"
NAME = "manifest.json"
VECTORS, ITEMS, GRAPH = "vectors.npy", "items.parquet", "graph.hnsw"
FEATURES_FILE = "features.npy"  # of its files, where the embeddings came with feature maps
WHITENING = "whitening.npy"  # where the vectors are whitened
_FILES = {VECTORS, ITEMS, GRAPH, FEATURES_FILE, WHITENING}
_MANY = 2**31 - 1  # rows, numbers or candidates
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
    mean: str | None = None  # of the vectors, as `pack_mean` writes it; earlier indexes have none
    store: Store = "float32"  # as which the numbers of the vectors are kept
    threads: int = 1  # that built the graph
    whitening: Record | None = None  # what is to be said of it, where the vectors are whitened

    def to_json(self) -> Record:
        """The manifest as plain data; `checksum` is over all the rest."""
        data: Record = {
            "schema": INDEX_SCHEMA,
            "kind": self.kind,
            "rows": self.rows,
            "dim": self.dim,
            "store": self.store,
            "model": self.model.to_json(),
            "files": {
                name: {"bytes": size, "sha256": sha256}
                for name, (size, sha256) in self.files.items()
            },
            "settings": {} if self.settings is None else asdict(self.settings),
            "recall_at_10": self.recall_at_10,
            "version": __version__,
        }
        if self.settings is not None:
            data["threads"] = self.threads
        if self.mean is not None:
            data["mean"] = self.mean
        if self.whitening is not None:
            data["whitening"] = dict(self.whitening)
        return {**data, "checksum": _checksum(data)}


def read_index_manifest(folder: Path) -> Manifest:
    """The manifest of the index `folder`; raises DataError when there is none or it is damaged."""
    if not os.path.lexists(folder / NAME):
        kind = find_kind(folder)
        nothing = "(no such folder)" if not os.path.lexists(folder) else f"(no {NAME} in it)"
        found = f"but {called(kind)}" if kind else nothing
        raise DataError(
            f"{folder}: not an xmir index {found}", next_step("index", kind, str(folder))
        )
    text = read_regular(folder / NAME, DESCRIPTION_LIMIT)
    try:
        data = cast("dict[str, object]", parse_json(text))
        checksum = data.pop("checksum")
    except (ValueError, AttributeError, KeyError, TypeError):
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


def pack_mean(mean: Vectors) -> str:
    """A vector [D] as text, bit for bit: its float32, the lowest byte first, in base64."""
    return base64.b64encode(mean.astype("<f4").tobytes()).decode()


def unpack_mean(text: str, dim: int) -> Vectors:
    """The vector [dim] of which `pack_mean` made the text; raises ValueError when it is none."""
    found = np.frombuffer(base64.b64decode(text, validate=True), dtype="<f4")
    if found.shape != (dim,) or not np.isfinite(found).all():
        raise ValueError
    return found.astype(np.float32)


def describe(path: Path) -> tuple[int, str]:
    """What the manifest holds of a file: bytes and SHA-256."""
    return path.stat().st_size, sha256_file(path)


def verify(folder: Path, name: str, manifest: Manifest, place: Path | None = None) -> Path:
    """Where one of the index's files lies, its bytes compared with the manifest; or DataError.

    `place` is where, if it is another than its name in the folder.
    """
    path = folder / name
    found = path if place is None else place
    if name not in manifest.files or not found.is_file():
        raise DataError(f"{path}: damaged index (missing)", AGAIN)
    if describe(found) != manifest.files[name]:
        raise DataError(f"{path}: damaged index (checksum)", AGAIN)
    return found


def _parse(data: Mapping[str, object], where: str) -> Manifest:
    """The manifest; raises AttributeError, KeyError, TypeError or ValueError when it is none."""
    files = cast("dict[str, dict[str, object]]", data["files"])
    settings = cast("dict[str, object]", data["settings"])
    recall, mean = data["recall_at_10"], data.get("mean")
    store = data.get("store", "float32")  # earlier indexes do not say it
    if data["kind"] not in get_args(SearchKind) or store not in get_args(Store):
        raise ValueError
    if not files.keys() <= _FILES:
        raise ValueError
    if recall is not None and not 0 <= cast("float", recall) <= 1:
        raise ValueError
    whitening = data.get("whitening")
    if not isinstance(mean, str | None) or not isinstance(whitening, dict | None):
        raise ValueError
    if (whitening is None) == (WHITENING in files):
        raise ValueError
    return Manifest(
        kind=cast("SearchKind", data["kind"]),
        rows=_whole(data["rows"], 1, _MANY),
        dim=_whole(data["dim"], 1, _MANY),
        model=ModelSpec.from_json(data["model"], where),
        files={
            name: (_whole(file["bytes"], 0, 2**63), str(file["sha256"]))
            for name, file in files.items()
        },
        settings=_graph_settings(settings) if settings else None,
        recall_at_10=cast("float | None", recall),
        mean=mean,
        store=cast("Store", store),
        threads=_whole(data.get("threads", 1), 1, _MANY),
        whitening=whitening,
    )


def _graph_settings(data: Mapping[str, object]) -> GraphSettings:
    return GraphSettings(
        m=_whole(data["m"], 2, 512),
        ef_construction=_whole(data["ef_construction"], 1, _MANY),
        ef=_whole(data["ef"], 1, _MANY),
        seed=_whole(data["seed"], 0, 2**32 - 1),
    )


def _whole(value: object, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ValueError
    return value


def _checksum(data: Mapping[str, object]) -> str:
    text = json.dumps(data, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
