"""The ranks of a run find each other, and hear when one of them is lost."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import torch
import torch.distributed as dist

from xmir_cli.errors import ModelError, SettingError, reason_of
from xmir_cli.launch import Launch, RankStore, open_store
from xmir_cli.signals import ending_at_once
from xmir_cli.training.ranks import ALONE, Ranks

_MEETING = timedelta(minutes=3)  # until all are there: torchrun starts them at the same time
_PATIENCE = timedelta(hours=1)  # until the slowest has done its part: all read, or rank 0 validates
_ENDED = "xmir/ended"  # how many ranks have ended badly


@contextmanager
def meeting(launch: Launch, device: str) -> Iterator[Ranks]:
    """The ranks of a launch, joined while it lasts; a process alone joins nobody.

    Whatever ends one rank ends the others: those to whom that is all that happens raise ModelError,
    or leave with SystemExit where the reason was told. Raises ModelError where they do not meet.
    """
    if launch.size == 1:
        yield ALONE
        return
    with ending_at_once():
        store = _join(launch, device)
    try:
        yield Ranks(launch.rank, launch.size)
    except BaseException as error:
        first = _is_first_to_end(store)
        if not isinstance(error, RuntimeError) or not tells_of_loss(error):
            raise
        if not first:
            raise SystemExit(ModelError.code) from None
        raise ModelError(
            "another rank has ended, and with it the run", "Continue it with `resume`."
        ) from None
    dist.destroy_process_group()


def rank_device(asked: str, launch: Launch) -> str:
    """The name of a rank's own device; raises SettingError for one that ranks cannot have.

    Raises ModelError where a host has fewer CUDA devices than ranks.
    """
    if launch.size == 1:
        return asked
    if asked == "auto":
        asked = "cuda" if torch.cuda.is_available() else "cpu"
    if asked not in {"cpu", "cuda"}:
        raise SettingError("device", f"ranks take auto, cpu or cuda, found {asked}")
    if asked == "cpu":
        return asked
    if launch.local >= (count := torch.cuda.device_count()):
        raise ModelError(
            f"more ranks on this host than CUDA devices, of which {count} are here",
            "Start one rank for each, or pass `device` cpu.",
        )
    return f"cuda:{launch.local}"


def tells_of_loss(error: RuntimeError) -> bool:
    """Whether it says that another rank did not answer."""
    return isinstance(error, dist.DistError) or "gloo" in str(error)


def _is_first_to_end(store: RankStore) -> bool:
    with suppress(RuntimeError):  # rank 0 kept the store, and is gone
        return store.add(_ENDED, 1) == 1
    return True


def _join(launch: Launch, device: str) -> RankStore:
    if not dist.is_available():
        raise ModelError("this PyTorch has no torch.distributed, so ranks cannot train together")
    cuda = device.startswith("cuda")
    if cuda:
        torch.cuda.set_device(device)
    try:
        store = open_store(_MEETING)
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if cuda else "gloo",
            store=store,  # type: ignore[arg-type] # as it came
            rank=launch.rank,
            world_size=launch.size,
            timeout=_PATIENCE,
        )
    except (RuntimeError, ValueError) as error:
        reason = reason_of(error, 200)
        raise ModelError(
            f"the {launch.size} ranks did not meet: {reason}", "Start all of them with torchrun."
        ) from None
    return store
