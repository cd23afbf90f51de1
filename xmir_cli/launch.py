"""How this process was started: alone, or by torchrun as one of the ranks of a run."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from xmir_cli.errors import UsageError

_HINT = "Start the ranks with torchrun, or unset RANK and WORLD_SIZE to run one process."
_AGENT = timedelta(seconds=10)  # for its answer; it is there before its ranks are


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


def find_launch(environment: Mapping[str, str] = os.environ) -> Launch:
    """What torchrun told this process by environment variables; raises UsageError for half of it.

    A run of one rank is a process alone.
    """
    if not environment.get("RANK") and not environment.get("WORLD_SIZE"):
        return Launch()
    size = _number(environment, "WORLD_SIZE")
    if size == 1:
        return Launch()
    rank = _number(environment, "RANK")
    if rank >= size:
        raise UsageError(f"RANK is {rank}: the {size} ranks of WORLD_SIZE count from 0", _HINT)
    _need(environment, "MASTER_ADDR")
    _number(environment, "MASTER_PORT")
    return Launch(rank, size, _number(environment, "LOCAL_RANK", "0"))


def is_first_to_say(text: str) -> bool:
    """Whether no other rank has said it before: what all would say is to be read once.

    Ranks ask the store that torchrun keeps for them; whoever has none says everything.
    """
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True" or not _is_one_of_many():
        return True
    key = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    try:
        return open_store(_AGENT).add(f"xmir/said/{key}", 1) == 1
    except (RuntimeError, ValueError):  # gone: nobody to ask
        return True


def open_store(timeout: timedelta) -> RankStore:
    """The numbers that the ranks share, where the environment says that they are.

    Raises RuntimeError or ValueError when that cannot be reached in time.
    """
    from torch.distributed.rendezvous import rendezvous  # slow, and not every PyTorch has it

    store: RankStore = next(rendezvous("env://", timeout=timeout))[0]
    return store


def _is_one_of_many() -> bool:
    try:
        return find_launch().size > 1
    except UsageError:
        return False


def _number(environment: Mapping[str, str], name: str, default: str = "") -> int:
    text = environment.get(name) or default or _need(environment, name)
    if not (text.isascii() and text.isdecimal()):
        raise UsageError(f"{name}: expected a whole number, found {text}", _HINT)
    return int(text)


def _need(environment: Mapping[str, str], name: str) -> str:
    found = environment.get(name)
    if not found:
        other = "RANK" if environment.get("RANK") else "WORLD_SIZE"
        raise UsageError(f"{other} is set, {name} is not", _HINT)
    return found
