"""What a collection says of itself, kept with it on the server: its size, model and columns."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import cast, get_args

import pyarrow as pa

from xmir_cli import __version__
from xmir_cli.errors import DataError
from xmir_cli.gallery.folder.manifest import pack_mean, unpack_mean
from xmir_cli.gallery.protocol import GraphSettings, SearchKind, Spread
from xmir_cli.gallery.servers.columns import KeptColumn, parse_kind
from xmir_cli.gallery.vectors import Vectors
from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.records import Record

COLLECTION_SCHEMA = "xmir.collection/1"
AGAIN = "Build it again with 'xmir index' and `force`."
_MANY = 2**53


@dataclass(frozen=True)
class About:
    """A collection: its size, its model, how it is searched, and what its items are."""

    kind: SearchKind
    rows: int
    dim: int
    model: ModelSpec
    columns: Sequence[KeptColumn]
    digest: str  # of the items and their vectors
    mean: Vectors  # [D] of the vectors
    settings: GraphSettings | None  # of a graph
    spread: Spread
    recall_at_10: float | None = None
    version: str = __version__

    def to_json(self, complete: bool = True) -> Record:
        """As plain data; `checksum` is over all the rest."""
        items = pa.schema([(column.name, column.type) for column in self.columns])
        data: Record = {
            "schema": COLLECTION_SCHEMA,
            "complete": complete,
            "kind": self.kind,
            "rows": self.rows,
            "dim": self.dim,
            "model": self.model.to_json(),
            "columns": [[column.stored, column.kind] for column in self.columns],
            "items": base64.b64encode(items.serialize().to_pybytes()).decode(),
            "digest": self.digest,
            "mean": pack_mean(self.mean),
            "settings": {} if self.settings is None else asdict(self.settings),
            "spread": asdict(self.spread),
            "recall_at_10": self.recall_at_10,
            "version": self.version,
        }
        return {**data, "checksum": _checksum(data)}

    @cached_property
    def by_name(self) -> Mapping[str, KeptColumn]:
        """The columns by the names that items have."""
        return {column.name: column for column in self.columns}

    @property
    def sha256(self) -> str:
        """Of what it says of itself."""
        return cast("str", self.to_json()["checksum"])

    @property
    def load_key(self) -> str:
        """Names the items and how they are kept; it is known before any of them is put in."""
        told = replace(self, recall_at_10=None, version="").to_json()
        return cast("str", told["checksum"])

    def is_same_load(self, other: "About") -> bool:
        """Whether both are of the same items, kept in the same way."""
        return self.load_key == other.load_key


def is_about(data: object) -> bool:
    """Whether it is what a collection of xmir says of itself, damaged or not."""
    schema = data.get("schema") if isinstance(data, Mapping) else None
    return isinstance(schema, str) and schema.partition("/")[0] == "xmir.collection"


def parse_about(data: Mapping[str, object], name: str) -> tuple[About, bool]:
    """What the collection `name` says, and whether it is complete; DataError for what is damaged.

    So for one that a later version of xmir has made.
    """
    if data.get("schema") != COLLECTION_SCHEMA:
        raise DataError(f"{name}: expected {COLLECTION_SCHEMA}, found another version's index")
    told = {key: value for key, value in data.items() if key != "checksum"}
    if data.get("checksum") != _checksum(told):
        raise DataError(f"{name}: damaged index (checksum)", AGAIN)
    try:
        return _parse(data, name), bool(data["complete"])
    except (AttributeError, KeyError, TypeError, ValueError, pa.ArrowException):
        raise DataError(f"{name}: damaged index (not to be read)", AGAIN) from None


def _parse(data: Mapping[str, object], name: str) -> About:
    if data["kind"] not in get_args(SearchKind):
        raise ValueError
    dim = _whole(data["dim"])
    items = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(cast("str", data["items"]))))
    stored = cast("list[list[str]]", data["columns"])
    settings = cast("dict[str, int]", data["settings"])
    return About(
        kind=cast("SearchKind", data["kind"]),
        rows=_whole(data["rows"]),
        dim=dim,
        model=ModelSpec.from_json(data["model"], name),
        columns=[
            KeptColumn(field.name, str(each), field.type, parse_kind(kind))
            for field, (each, kind) in zip(items, stored, strict=True)
        ],
        digest=str(data["digest"]),
        mean=unpack_mean(cast("str", data["mean"]), dim),
        settings=GraphSettings(**settings) if settings else None,
        spread=Spread(**cast("dict[str, int | None]", data["spread"])),
        recall_at_10=cast("float | None", data["recall_at_10"]),
        version=str(data["version"]),
    )


def _whole(value: object) -> int:
    if type(value) is not int or not 1 <= value <= _MANY:
        raise ValueError
    return value


def _checksum(data: Mapping[str, object]) -> str:
    text = json.dumps(data, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
