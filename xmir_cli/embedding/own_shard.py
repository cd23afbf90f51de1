"""Which process of how many this is: as the user says, or as torchrun and Slurm tell it."""

import os
from dataclasses import dataclass

from xmir_cli.errors import SettingError, UsageError
from xmir_cli.launch import Environment, find_rank, whole_number
from xmir_cli.store.shards import Shard, parse_shard


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
        return whole_number(environment, "LOCAL_RANK") if "LOCAL_RANK" in environment else None
    if _step_task(environment) is not None and "SLURM_LOCALID" in environment:
        return whole_number(environment, "SLURM_LOCALID")
    return None


def _rank(environment: Environment) -> RankOf | None:
    """One of the processes of torchrun."""
    launch = find_rank(environment)
    return RankOf(launch.rank, launch.size, ("RANK",)) if launch.size > 1 else None


def _step_task(environment: Environment) -> RankOf | None:
    """One of the tasks that srun started.

    The script of a batch job has a number, too, but is not one of them.
    """
    if "SLURM_JOB_ID" in environment and "SLURM_STEP_ID" not in environment:
        return None
    step = "SLURM_STEP_NUM_TASKS"
    return _place(environment, "SLURM_PROCID", step if step in environment else "SLURM_NTASKS")


def find_lone_task(environment: Environment = os.environ) -> int | None:
    """The number of a task that is the only one of its array, as one that is submitted again is."""
    name, counted = "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT"
    if name not in environment or environment.get(counted) != "1":
        return None
    return whole_number(environment, name)


def _array_task(environment: Environment) -> RankOf | None:
    """One of the tasks of an array, whose numbers begin anywhere and may go in steps."""
    name, counted = "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT"
    if name not in environment or counted not in environment:
        return None
    first = whole_number(environment, "SLURM_ARRAY_TASK_MIN", "0")
    step = max(1, whole_number(environment, "SLURM_ARRAY_TASK_STEP", "1"))
    own, count = whole_number(environment, name), whole_number(environment, counted)
    number, rest = divmod(own - first, step)
    if rest or not 0 <= number < count:
        raise UsageError(
            f"{name} is {own}, {counted} {count}: the tasks of the array are not evenly apart",
            "Say by `shard` which one of how many this is.",
        )
    return RankOf(number, count, (name,)) if count > 1 else None


def _place(environment: Environment, name: str, counted: str) -> RankOf | None:
    if counted not in environment or whole_number(environment, counted) < 2:
        return None
    if name not in environment:
        raise UsageError(f"{counted} is {environment[counted]}, and there is no {name}")
    number, count = whole_number(environment, name), whole_number(environment, counted)
    if number >= count:
        raise UsageError(f"{name} is {number}, {counted} {count}: it counts from 0")
    return RankOf(number, count, (name,))
