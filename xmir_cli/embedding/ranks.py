"""Which process of how many this is: as the user says, or as torchrun and Slurm tell it."""

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from xmir_cli.errors import SettingError, UsageError
from xmir_cli.store.shards import Shard, parse_shard

Environment = Mapping[str, str]

_DONE = "xmir/embed/done"  # how many ranks have done
_LEAVING = "xmir/embed/leaving"  # how many go now
_PAUSE = 0.05  # seconds between two looks at them
_LAST_WORDS = 1.0  # seconds in which the others print theirs


@dataclass(frozen=True)
class RankOf:
    """One of so many processes, and which variables tell it."""

    number: int  # from 0
    count: int
    told: tuple[str, ...] = ()


@dataclass(frozen=True)
class OwnShard:
    """What this process has to do of a job."""

    shard: Shard
    told: str = ""  # by what, where the user did not say it


def find_piece(asked: str | None, environment: Environment = os.environ) -> OwnShard | None:
    """The piece of this process, None when it is to do all.

    Array tasks of Slurm are counted first, then the ranks of torchrun or of a step of Slurm within
    each.

    Raises:
        SettingError: `asked` is no shard.
        UsageError: The variables of torchrun or Slurm do not go together.
    """
    if asked is not None:
        try:
            return OwnShard(parse_shard(asked))
        except ValueError:
            raise SettingError(
                "shard", "expected I/N, the I-th of N, such as 1/4", value=asked
            ) from None
    outer, inner = _array_task(environment), _rank(environment) or _step_task(environment)
    places = [place for place in (outer, inner) if place is not None]
    number, count = 0, 1
    for place in places:
        number, count = number * place.count + place.number, count * place.count
    if count == 1:
        return None
    return OwnShard(
        Shard(number + 1, count), ", ".join(name for each in places for name in each.told)
    )


def local_rank(environment: Environment = os.environ) -> int | None:
    """Which of the processes of this host it is, from 0; None where nobody tells."""
    if _rank(environment) is not None:
        return _whole(environment, "LOCAL_RANK") if "LOCAL_RANK" in environment else None
    if _step_task(environment) is not None and "SLURM_LOCALID" in environment:
        return _whole(environment, "SLURM_LOCALID")
    return None


def leave_ranks(early: bool, environment: Environment = os.environ) -> None:
    """Tell the other ranks of torchrun that this one has done; one that leaves early waits for all.

    That is one whose exit code is not 0, such as 3 for skips: torchrun would end the others for it.
    """
    rank = _rank(environment)
    if rank is None or environment.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return
    from torch.distributed.rendezvous import rendezvous  # noqa: PLC0415 # slow, and rarely needed

    with suppress(RuntimeError, ValueError):  # the store is gone: nobody to wait for
        store = next(rendezvous("env://"))[0]
        for counted in (_DONE, _LEAVING):  # early ones go together, or the first ends the others
            store.add(counted, 1)
            while early and store.add(counted, 0) < rank.count:
                time.sleep(_PAUSE)
            if early and counted == _DONE:
                time.sleep(_LAST_WORDS)


def _rank(environment: Environment) -> RankOf | None:
    """One of the processes of torchrun."""
    return _place(environment, "RANK", "WORLD_SIZE")


def _step_task(environment: Environment) -> RankOf | None:
    """One of the tasks that srun started.

    The script of a batch job has a number, too, but is not one of them.
    """
    if "SLURM_JOB_ID" in environment and "SLURM_STEP_ID" not in environment:
        return None
    step = "SLURM_STEP_NUM_TASKS"
    return _place(environment, "SLURM_PROCID", step if step in environment else "SLURM_NTASKS")


def _array_task(environment: Environment) -> RankOf | None:
    """One of the tasks of an array, whose numbers begin anywhere and may go in steps."""
    name, counted = "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT"
    if name not in environment or counted not in environment:
        return None
    first = _whole(environment, "SLURM_ARRAY_TASK_MIN", "0")
    step = max(1, _whole(environment, "SLURM_ARRAY_TASK_STEP", "1"))
    own, count = _whole(environment, name), _whole(environment, counted)
    number, rest = divmod(own - first, step)
    if rest or not 0 <= number < count:
        raise UsageError(
            f"{name} is {own}, {counted} {count}: the tasks of the array are not evenly apart",
            "Say by `shard` which one of how many this is.",
        )
    return RankOf(number, count, (name,)) if count > 1 else None


def _place(environment: Environment, name: str, counted: str) -> RankOf | None:
    if counted not in environment or _whole(environment, counted) < 2:
        return None
    if name not in environment:
        raise UsageError(f"{counted} is {environment[counted]}, and there is no {name}")
    number, count = _whole(environment, name), _whole(environment, counted)
    if number >= count:
        raise UsageError(f"{name} is {number}, {counted} {count}: it counts from 0")
    return RankOf(number, count, (name,))


def _whole(environment: Environment, name: str, default: str = "") -> int:
    text = environment.get(name, default)
    if not (text.isascii() and text.isdecimal()):
        raise UsageError(f"{name}: expected a whole number, found {text!r}")
    return int(text)
