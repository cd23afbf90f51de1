"""A worker of Ray: it loads the network once, and makes the slots that it is given."""

import hashlib
import os
import pickle
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from xmir_cli.causes import Cause
from xmir_cli.embedding.known import KnownRow
from xmir_cli.embedding.parts import EmbeddedRow
from xmir_cli.embedding.slots import embed_slots
from xmir_cli.errors import DataError, ItemError, ModelError, XmirError
from xmir_cli.images.dicom_tags import KEY, key_mark
from xmir_cli.model.embedder import Embedder
from xmir_cli.model.loader import load_embedder
from xmir_cli.model.named import trust
from xmir_cli.model.own_networks import NETWORKS
from xmir_cli.wire.model import ModelSpec

SlotRow = EmbeddedRow | KnownRow | ItemError
_TOLD = (KEY, NETWORKS)  # variables that decide what is embedded


def find_environment() -> Mapping[str, str]:
    """The variables that workers are told here, not by Ray, which logs what it is to set."""
    return {name: os.environ[name] for name in _TOLD if name in os.environ}


@dataclass(frozen=True)
class WorkerOrder:
    """What all workers are told."""

    spec: ModelSpec
    made: Mapping[str, str]  # what they are to run on, as the metadata of the rows has it
    batch: int  # images that pass the network at once
    size: int  # images of a slot
    job: int  # images in all
    jobs: int | None  # threads that decode
    features: bool
    files: Mapping[str, bytes]  # code and weights by their paths, for nodes that lack them
    environment: Mapping[str, str] = field(default_factory=find_environment)  # such as a key


@dataclass(frozen=True)
class SlotTask:
    """Slots that come one after the other: the paths of their images, and what is known of them."""

    paths: Sequence[str]
    known: Mapping[str, KnownRow]


class SlotWorker:
    """Makes slots, each in a row of a table: `task` becomes `made`."""

    def __init__(self, order: bytes) -> None:
        """What it is told comes packed, for Ray to pass it on as it is."""
        self._order: WorkerOrder = pickle.loads(order)  # noqa: S301 # our own process packed it
        os.environ.update(self._order.environment)
        self._embedder: Embedder | None = None  # loaded at the first task, whose errors are told

    def __call__(self, table: dict[str, np.ndarray]) -> dict[str, object]:
        """The same rows with what was made."""
        return {"number": table["number"], "made": [self._pack(task) for task in table["task"]]}

    def _pack(self, task: bytes) -> bytes:
        try:
            return pack(self._make(pickle.loads(task)))  # noqa: S301 # as above
        except XmirError as error:  # passed on as it is: Ray would drop what it says
            kind = DataError if isinstance(error, DataError) else ModelError
            return pickle.dumps(kind(str(error), error.hint))

    def _make(self, task: SlotTask) -> list[SlotRow]:
        order = self._order
        if self._embedder is None:
            self._embedder = _load(order)
        slots = embed_slots(
            self._embedder,
            task.paths,
            order.size,
            order.job,
            task.known.get,
            order.jobs,
            order.features,
        )
        return [row for slot in slots for row in slot]


def pack(rows: Sequence[SlotRow]) -> bytes:
    """Rows as bytes."""
    plain = [(row.cause.name, row.detail) if isinstance(row, ItemError) else row for row in rows]
    return pickle.dumps(plain)


def unpack(data: bytes) -> list[SlotRow]:
    """The rows of which `pack` made this; raises what the worker raised in their place."""
    plain = pickle.loads(data)  # noqa: S301 # a worker of this run packed it
    if isinstance(plain, XmirError):
        raise plain
    return [ItemError(Cause[row[0]], row[1]) if isinstance(row, tuple) else row for row in plain]


def _load(order: WorkerOrder) -> Embedder:
    import torch  # noqa: PLC0415 # its version may be another one here

    own = {
        "device": order.made["device"],
        "precision": order.made["precision"],
        "torch": str(torch.__version__),
        **({"patient_key": mark} if (mark := key_mark()) else {}),
    }
    if own != dict(order.made):
        other = min(dict(own.items() ^ dict(order.made).items()))
        raise ModelError(
            f"a node of Ray has another {other}: {own.get(other)}, not {order.made.get(other)}"
        )
    spec = _at_hand(order.spec, order.files)
    trust(spec.architecture)  # whoever started the run has loaded it, too
    return load_embedder(spec, order.made["device"], order.made["precision"], order.batch)


def _at_hand(spec: ModelSpec, files: Mapping[str, bytes]) -> ModelSpec:
    """The spec with the paths of files that are here as they were where the run was started."""
    places = {path: _write_unless_there(path, data) for path, data in files.items()}
    file, colon, function = spec.architecture.rpartition(":")
    architecture = spec.architecture
    if colon and file in places:
        architecture = f"{places[file]}:{function}"
    return replace(spec, architecture=architecture, weights=places.get(spec.weights, spec.weights))


def _write_unless_there(path: str, data: bytes) -> str:
    if os.path.isfile(path) and Path(path).read_bytes() == data:  # noqa: PTH113 # as it is named
        return path
    digest = hashlib.sha256(data).hexdigest()[:16]
    place = Path(tempfile.gettempdir()) / f"xmir-{os.getuid()}-{os.getpid()}-{digest}"
    place.mkdir(0o700, exist_ok=True)
    (place / Path(path).name).write_bytes(data)
    return str(place / Path(path).name)
