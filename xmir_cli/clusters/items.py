"""What is put into groups: maps of records, or rows of embeddings, with what is known of each."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from xmir_cli.arrays import Floats
from xmir_cli.causes import Cause
from xmir_cli.clusters.blocks import block_means
from xmir_cli.errors import ItemError
from xmir_cli.pictures.identity import identity_of
from xmir_cli.store.maps import read_map_file
from xmir_cli.store.names import restore_name
from xmir_cli.wire.checks import need_map
from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.old_settings import renew_settings
from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import read_view, until_stage
from xmir_cli.wire.schemas.cluster import ClusterRecord
from xmir_cli.wire.schemas.localization import LocalizationRecord
from xmir_cli.wire.schemas.saliency import SaliencyRecord


@dataclass(frozen=True)
class ClusterKind:
    """What items have in common that are compared with each other."""

    method: str = ""  # empty for embeddings
    explains: str = ""
    settings: str = "null"  # JSON
    network: str = ""  # the hash of its weights
    variant: str = ""  # in what it differs from others of the method

    def to_json(self) -> Record:
        """As a summary tells it."""
        if not self.method and not self.explains:
            return {}
        variant = {"variant": self.variant} if self.variant else {}
        settings = json.loads(self.settings)
        told: Record = {"method": self.method, **variant, "explains": self.explains}
        return {**told, "settings": settings}


@dataclass(frozen=True)
class ClusterItem:
    """One map or row: its record, and what is known of the image that it is about."""

    record: Record
    kind: ClusterKind
    name: str  # the image's id, else its path
    image: str  # which image it is
    label: str | None
    patient: str | None


def item_of_map(record: Record) -> tuple[ClusterItem, Floats]:
    """A saliency record, and its map as 16 x 16 blocks; raises ItemError."""
    need_map(record)
    # grouped before: that is none of this time's
    view = read_view(SaliencyRecord, until_stage(record, LocalizationRecord, ClusterRecord))
    assert view.saliency is not None
    saliency = read_map_file(Path(view.saliency))
    if saliency.ndim != 2 or not saliency.size:
        raise ItemError(Cause.BAD_MAP, f"{view.saliency}: expected a map, found {saliency.shape}")
    try:
        blocks = block_means(saliency.astype(np.float64))
    except ItemError as error:
        raise ItemError(error.cause, f"no value above 0 ({view.saliency})") from None
    return _item_of(view), blocks


def _item_of(view: SaliencyRecord) -> ClusterItem:
    settings = renew_settings(view.method, view.settings or {})
    told = {name: each for name, each in settings.items() if name not in {"point", "contrast"}}
    network = view.model.named if view.model else ""
    kind = ClusterKind(view.method, view.explains, json.dumps(told, sort_keys=True), network)
    meta = view.meta or {}
    if view.explains == "query" and view.query != view.retrieved:
        own = view.query_meta or {}
        patient = view.query_patient or _text(own.get("patient"))
        image, label = view.query_identity or view.query, view.query_label
        return ClusterItem(
            view.record, kind, _text(own.get("id")) or view.query, image, label, patient
        )
    image = view.retrieved_identity or view.retrieved
    name = _text(meta.get("id")) or view.retrieved
    label = view.retrieved_label
    return ClusterItem(view.record, kind, name, image, label, _text(meta.get("patient")))


def items_of_rows(items: pa.Table, model: ModelSpec) -> Iterator[ClusterItem]:
    """Rows of embeddings as records of an image and itself, as those of a bare path are."""
    spec = model.to_json()
    for row in items.to_pylist():
        yield _item_of_row(row, spec)


def _item_of_row(row: Mapping[str, object], model: Record) -> ClusterItem:
    path = restore_name(str(row["path"]))
    label, sha256 = _text(row.get("label")), _text(row.get("sha256"))
    identity = identity_of(sha256, path) if sha256 else None
    name = _text(row.get("id")) or path
    record: Record = {"schema": ClusterRecord.NAME, "query": path, "retrieved": path}
    if identity is not None:
        record |= {"query_identity": identity, "retrieved_identity": identity}
    record |= {"query_label": label, "retrieved_label": label, "model": model}
    patient = _text(row.get("patient"))
    record["meta"] = {"id": name} if patient is None else {"id": name, "patient": patient}
    return ClusterItem(record, ClusterKind(), name, identity or path, label, patient)


def kinds_of(items: Sequence[ClusterItem]) -> dict[ClusterKind, list[int]]:
    """The places of the items of each kind, in order of appearance; variants are named."""
    found: dict[ClusterKind, list[int]] = {}
    for place, item in enumerate(items):
        found.setdefault(item.kind, []).append(place)
    return {_name_variant(kind, list(found)): places for kind, places in found.items()}


def _name_variant(kind: ClusterKind, kinds: Sequence[ClusterKind]) -> ClusterKind:
    """The same kind, named by what is not the same in all kinds of its method."""
    told = {
        each: {**json.loads(each.settings), "explains": each.explains, "network": each.network[:8]}
        for each in kinds
        if each.method == kind.method and each.explains
    }
    if len(told) < 2:
        return kind
    names = dict.fromkeys(name for each in told.values() for name in each)
    apart = [name for name in names if len({repr(each.get(name)) for each in told.values()}) > 1]
    return replace(kind, variant=", ".join(f"{name} {told[kind].get(name, '-')}" for name in apart))


def _text(value: object) -> str | None:
    return None if value is None or value == "" else str(value)
