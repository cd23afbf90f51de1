"""Threads that compute side by side, each on one processor.

torch releases Python's lock while it computes. Its own threads inside one operation would wait for
each other at the operation's end: if another process takes a processor, all wait for the slowest.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Part = TypeVar("Part")
Result = TypeVar("Result")


def share_out(work: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
    """The results of `work` for each part, in their order, without gradients.

    There are as many threads as torch would use inside one operation (OMP_NUM_THREADS, else the
    number of processors). One thread alone does a part, so the number of threads does not change
    the results.
    """

    def do_alone(part: Part) -> Result:
        with torch.no_grad():  # it holds for one thread only
            return work(part)

    threads = torch.get_num_threads()
    if threads == 1:  # also inside a part
        return [do_alone(part) for part in parts]
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(do_alone, parts))
    finally:
        torch.set_num_threads(threads)


@contextmanager
def single_thread() -> Iterator[None]:
    """Let torch use one thread: for steps so small that several threads only wait."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
