"""The slots of a job made by the workers of a Ray cluster, and given in their order."""

import logging
import os
import pickle
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from xmir_cli import console
from xmir_cli.causes import Cause
from xmir_cli.embedding.known import KnownRow
from xmir_cli.embedding.parts import EmbeddedRow
from xmir_cli.embedding.ray_worker import SlotRow, SlotTask, SlotWorker, WorkerOrder, unpack
from xmir_cli.embedding.shares import Work
from xmir_cli.embedding.slots import KnownAt
from xmir_cli.errors import DataError, ModelError, reason_of
from xmir_cli.pictures.identity import file_of
from xmir_cli.pictures.scales import meet_scales
from xmir_cli.wire.columns import DECODED, SEPARATOR
from xmir_cli.wire.model import ModelSpec
from xmir_cli.workarounds.ray import silenced

_MOST_SLOTS = 8  # of a task: what is decoded while the slot before it is embedded
_TASKS = 64  # at least, where there are as many slots: none waits long for the last one
_CPUS = 4  # of a worker on the CPU, where each node has as many
_JOIN = (
    "Join the cluster at HOST:PORT by 'ray start' on this machine and name that, or unset "
    "RAY_ADDRESS to start one here."
)
_ANSWER = 10  # seconds for a cluster to answer
_PASSED = ("PYTHONPATH",)  # variables that workers need to begin; Ray logs them, so no secret


@contextmanager
def cluster(engine: str) -> Iterator[None]:
    """A connection to the cluster `ray://HOST:PORT`, or for `ray` to that of $RAY_ADDRESS.

    Where none is named, one is started on this machine and ends with the work: whatever else runs
    here may be somebody else's. Raises ModelError where it cannot be reached.
    """
    os.environ.setdefault("RAY_worker_niceness", "0")  # else workers give way to everybody
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else it warns of a change
    import ray  # noqa: PLC0415 # an extra
    import ray.data  # noqa: PLC0415 # as above

    named = os.environ.get("RAY_ADDRESS") or "local"
    address = named if engine == "ray" else engine.removeprefix("ray://")
    _need_answer(address)
    passed = {name: os.environ[name] for name in _PASSED if name in os.environ}
    try:
        with warnings.catch_warnings(action="ignore"):  # of Ray's own future
            ray.init(
                address=address,
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env={"env_vars": passed},
            )
    except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
        reason = reason_of(error)
        raise ModelError(f"Ray cannot be reached: {reason}", _JOIN) from None
    if address == "local":
        cpus = int(ray.cluster_resources().get("CPU", 0))
        console.note(f"a cluster of Ray was started on this machine for it, processors: {cpus}")
    logging.getLogger("ray").setLevel(logging.ERROR)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        with silenced():
            yield
    finally:
        ray.shutdown()


def _need_answer(address: str) -> None:
    """Raise ModelError for HOST:PORT where nobody answers; Ray would try for minutes."""
    if address.startswith("ray://"):
        raise ModelError(
            "RAY_ADDRESS is that of a Ray client, ray://..., and Ray Data knows none", _JOIN
        )
    host, colon, port = address.rpartition(":")
    if not (colon and port.isascii() and port.isdecimal()):
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER).close()
    except (OSError, OverflowError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise ModelError(f"Ray cannot be reached at {address}: {reason}", _JOIN) from None


def cluster_device(asked: str) -> str:
    """The kind of device that workers run on: CUDA where the cluster has any, unless asked."""
    import ray  # noqa: PLC0415 # an extra

    if asked == "auto":
        return "cuda" if ray.cluster_resources().get("GPU", 0) >= 1 else "cpu"
    return asked.partition(":")[0]


def ray_slots(work: Work, known: KnownAt, order: WorkerOrder) -> Iterator[list[SlotRow]]:
    """What became of the items of the work, in their order, as many at once as a task has.

    A task whose worker or node is lost is made again elsewhere. Raises what a worker raised.
    """
    import ray  # noqa: PLC0415 # an extra

    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    cuda = order.made["device"] == "cuda"
    made = ray.data.from_arrow(_tasks(work, known)).map_batches(
        SlotWorker,
        fn_constructor_args=(pickle.dumps(order),),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=_most_workers(cuda)),
        num_cpus=1 if cuda else _worker_cpus(),
        num_gpus=1 if cuda else None,
    )
    first = work.own.start
    try:
        for number, row in enumerate(made.iter_rows()):
            assert row["number"] == number  # the order is kept
            done = unpack(row["made"])
            for item, one in enumerate(done, first):
                _look_at(work.items[item].path, one)
            first += len(done)
            yield done
    except ray.exceptions.RayError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        last = next((line for line in lines[::-1] if "Error: " in line), lines[-1])
        raise ModelError(f"a worker of Ray has failed: {last[:200]}") from None


def _tasks(work: Work, known: KnownAt) -> list[pa.Table]:
    """The work in tasks, each in a table of its own, which Ray passes on as it is."""
    slots = -(-len(work.own) // work.size)
    step = work.size * max(1, min(_MOST_SLOTS, slots // _TASKS))
    tables = []
    for number, start in enumerate(range(0, len(work.own), step)):
        paths = [work.items[item].path for item in work.own[start : start + step]]
        there = {path: row for path in paths if (row := known(path)) is not None}
        task = pickle.dumps(SlotTask(paths, there))
        tables.append(pa.table({"number": [number], "task": pa.array([task], pa.binary())}))
    return tables


def _nodes() -> list[dict[str, float]]:
    """What the nodes have that are alive."""
    import ray  # noqa: PLC0415 # an extra

    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _worker_cpus() -> int:
    """Processors of a worker: no more than the smallest node has."""
    return max(1, min(_CPUS, *(int(each["CPU"]) for each in _nodes() if each.get("CPU", 0) >= 1)))


def _most_workers(cuda: bool) -> int:
    """How many find room at once."""
    name, need = ("GPU", 1) if cuda else ("CPU", _worker_cpus())
    return max(1, sum(int(each.get(name, 0)) // need for each in _nodes()))


def _look_at(path: str, row: SlotRow) -> None:
    """Take note of a picture's scale; DataError for an image that is here, and not at a worker."""
    if isinstance(row, EmbeddedRow):
        meet_scales(row.columns.get(DECODED, "").split(SEPARATOR))
    elif isinstance(row, KnownRow):
        meet_scales(row.decoded.split(SEPARATOR))
    elif row.cause is Cause.MISSING and os.path.lexists(file_of(path)):
        raise DataError(
            f"{path}: is here, and not on a node of Ray",
            "All nodes need the images at the same places.",
        )


def find_files(spec: ModelSpec) -> tuple[ModelSpec, dict[str, bytes]]:
    """The spec with paths that do not depend on the current folder, and the files that it names.

    These are the user's own code and weights, for nodes that do not have them.
    """
    code, _, function = spec.architecture.rpartition(":")
    if code and Path(code).is_file():
        spec = replace(spec, architecture=f"{Path(code).absolute()}:{function}")
    elif Path(spec.architecture).is_dir():
        spec = replace(spec, architecture=str(Path(spec.architecture).absolute()))
    if Path(spec.weights).is_file():
        spec = replace(spec, weights=str(Path(spec.weights).absolute()))
    named = [Path(path) for path in (spec.architecture.rpartition(":")[0], spec.weights) if path]
    return spec, {str(path): path.read_bytes() for path in named if path.is_file()}
