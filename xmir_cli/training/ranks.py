"""The processes of one training run, each with its part of every batch: who has what, and sums.

The rows of a batch go round: rank r of W has rows r, r + W, r + 2W, ... of it. What one rank needs
of the others' rows comes as a sum in which every other rank has zeros, so that no bit changes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from xmir_cli.signals import ending_waits

Shared = TypeVar("Shared")


@dataclass(frozen=True)
class Ranks:
    """Which of how many this process is; alone it has all rows, and nothing is sent."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this one speaks and writes for all."""
        return self.rank == 0

    def own(self, rows: Sequence[Shared]) -> Sequence[Shared]:
        """This rank's part of rows that all know."""
        return rows[self.rank :: self.size]

    def merge(self, own: Iterable[Shared]) -> Iterator[Shared]:
        """All rows, of which each rank has its own; alone they pass as they come."""
        if self.size == 1:
            yield from own
            return
        found: list[list[Shared]] = [[] for _ in range(self.size)]
        dist.all_gather_object(found, list(own))
        for place in range(max(map(len, found))):
            yield from (rows[place] for rows in found if place < len(rows))

    def first(self, value: Shared) -> Shared:
        """The value that rank 0 has."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def gather(self, own: Tensor, count: int) -> Tensor:
        """The whole batch [B, ...] of `count` rows, of which each rank has its own.

        A gradient flows to the own rows only: to the others it does where they are at home.
        """
        if self.size == 1:
            return own
        whole = own.new_zeros(count, *own.shape[1:])
        whole[self.rank :: self.size] = own.detach()
        dist.all_reduce(whole)
        whole[self.rank :: self.size] = own
        return whole

    def fetch(self, own: Tensor, places: Tensor) -> Tensor:
        """Rows [N, ...] at places [N] in the batch; gradients go to whichever rank has the row."""
        if self.size == 1:
            return own.index_select(0, places)
        held = torch.nonzero(places % self.size == self.rank)[:, 0]
        rows = own.index_select(0, places[held] // self.size)
        zeros = own.new_zeros(len(places), *own.shape[1:])
        fetched: Tensor = _Sum.apply(zeros.index_copy(0, held, rows))
        return fetched

    def sum(self, value: Tensor) -> Tensor:
        """The sum over the ranks, without gradient."""
        if self.size == 1:
            return value.detach()
        return _summed(value)

    @contextmanager
    def ending_together(self) -> Iterator[Callable[[], None]]:
        """Requests to end wait for a call of what it gives: there all end, whichever was asked.

        Alone they are heard at once, as ever. torchrun asks each rank, but not at the same step.
        """
        if self.size == 1:
            yield lambda: None
            return
        with ending_waits(patient=True) as asked:

            def end_if_asked() -> None:
                number = torch.tensor(max(asked, default=0))
                dist.all_reduce(number, dist.ReduceOp.MAX)
                if number:
                    raise KeyboardInterrupt(int(number))

            yield end_if_asked


ALONE = Ranks()


class _Sum(torch.autograd.Function):
    """The sum over the ranks: what changes one rank's part changes every rank's sum."""

    @staticmethod
    def forward(context: Any, own: Tensor) -> Tensor:  # noqa: ANN401, ARG004 # torch's signature
        return _summed(own)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401, ARG004 # torch's
        return _summed(gradient)


def _summed(own: Tensor) -> Tensor:
    total = own.detach().clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return total
