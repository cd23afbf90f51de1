"""Threads that compute side by side, each with one processor.

torch lets go of Python's lock while it computes. Threads of its own inside one operation wait for
each other at its end: with another process on a processor everything waits for the slowest.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Part = TypeVar("Part")
Result = TypeVar("Result")


def share_out(work: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
    """What `work` makes of each part, in their order, without gradients.

    There are as many threads as torch would use inside one operation (OMP_NUM_THREADS, else the
    processors). Each part is done by one thread alone, so the results do not depend on how many.
    """

    def alone(part: Part) -> Result:
        with torch.no_grad():  # which every thread has to say for itself
            return work(part)

    threads = torch.get_num_threads()
    if threads == 1:  # also within a part
        return [alone(part) for part in parts]
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(alone, parts))
    finally:
        torch.set_num_threads(threads)


@contextmanager
def single_thread() -> Iterator[None]:
    """For work in steps so small that threads, within them or beside, wait more than they help."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
