"""How this process was started: alone, or by torchrun as one of the ranks of a run."""

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from xmir_cli.errors import UsageError

Environment = Mapping[str, str]

_HINT = "Start the ranks with torchrun, or unset RANK and WORLD_SIZE to run one process."
_PATIENCE = timedelta(minutes=10)  # for the store, which is there as long as the agent
_AGENT = timedelta(seconds=10)  # for its answer; it is there before its ranks are
_LEAVING = "xmir/embed/leaving"  # how many ranks have said all
_PAUSE = 0.05  # seconds between two looks at them
_PATIENT = 10.0  # seconds for another one's words that were begun


class RankStore(Protocol):
    """What the ranks of a run share: a `torch.distributed.Store`."""

    def add(self, key: str, amount: int, /) -> int:
        """The number of that name, from 0, with the amount added."""


@dataclass(frozen=True)
class Launch:
    """Which process of how many this is."""

    rank: int = 0
    size: int = 1
    local: int = 0  # which of those of its host

    @property
    def follows(self) -> bool:
        """Whether another process speaks and writes for all."""
        return self.rank > 0


def find_rank(environment: Environment = os.environ) -> Launch:
    """Which of the processes of torchrun this is, by environment variables.

    A run of one rank is a process alone, and so is a rank of nobody knows how many. Raises
    UsageError for variables that do not go together.
    """
    if not environment.get("WORLD_SIZE"):
        return Launch()
    size = whole_number(environment, "WORLD_SIZE")
    if size < 2:
        return Launch()
    rank = whole_number(environment, _need(environment, "RANK"))
    if rank >= size:
        raise UsageError(f"RANK is {rank}: the {size} ranks of WORLD_SIZE count from 0", _HINT)
    return Launch(rank, size, whole_number(environment, "LOCAL_RANK", "0"))


def find_launch(environment: Environment = os.environ) -> Launch:
    """The same of ranks that meet; raises UsageError for half of what they need for it, too."""
    if environment.get("RANK"):
        _need(environment, "WORLD_SIZE")
    launch = find_rank(environment)
    if launch.size > 1:
        _need(environment, "MASTER_ADDR")
        whole_number(environment, _need(environment, "MASTER_PORT"))
    return launch


def say_once(text: str, say: Callable[[], None]) -> None:
    """Say a text unless another rank does: what all would say is to be read once.

    Ranks ask the store that torchrun keeps for them; whoever has none says everything. The others
    return when it was said, for the first of them to end takes the one that says it along.
    """
    if not (_has_store(os.environ) and _is_one_of_many()):
        say()
        return
    key = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    try:
        store = open_store(_AGENT)
        first = store.add(f"xmir/said/{key}", 1) == 1
    except (RuntimeError, ValueError):  # gone: nobody to ask
        say()
        return
    if first:
        say()
    with suppress(RuntimeError, ValueError):
        told, end = f"xmir/told/{key}", time.monotonic() + _PATIENT
        while store.add(told, int(first)) == 0 and time.monotonic() < end:
            time.sleep(_PAUSE)


def leave_ranks(early: bool, environment: Environment = os.environ) -> None:
    """Tell the other ranks of torchrun that this one has said all; an early one waits for theirs.

    That is one whose exit code is not 0, such as 3 for skips: torchrun would end the others for it.
    """
    size = find_rank(environment).size
    if size == 1 or not _has_store(environment):
        return
    with suppress(RuntimeError, ValueError):  # the store is gone: nobody to wait for
        store = open_store(_PATIENCE)
        store.add(_LEAVING, 1)
        while early and store.add(_LEAVING, 0) < size:
            time.sleep(_PAUSE)


def open_store(timeout: timedelta) -> RankStore:
    """The numbers that the ranks share, where the environment says that they are.

    Raises RuntimeError or ValueError when that cannot be reached in time.
    """
    from torch.distributed.rendezvous import rendezvous  # slow, and not every PyTorch has it

    store: RankStore = next(rendezvous("env://", timeout=timeout))[0]
    return store


def whole_number(environment: Environment, name: str, default: str = "") -> int:
    """The number in a variable; raises UsageError for anything else."""
    text = environment.get(name) or default
    if not (text.isascii() and text.isdecimal()):
        raise UsageError(f"{name}: expected a whole number, found {text!r}")
    return int(text)


def _has_store(environment: Environment) -> bool:
    """Whether torchrun keeps one for its ranks."""
    return environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True"


def _is_one_of_many() -> bool:
    try:
        return find_launch().size > 1
    except UsageError:
        return False


def _need(environment: Environment, name: str) -> str:
    """The name of a variable that is set; raises UsageError where it is not."""
    if not environment.get(name):
        other = "RANK" if environment.get("RANK") else "WORLD_SIZE"
        raise UsageError(f"{other} is set, {name} is not", _HINT)
    return name
