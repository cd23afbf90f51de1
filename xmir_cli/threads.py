"""Threads for work in NumPy, which releases Python's lock while it computes."""

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Protocol, TypeVar

from xmir_cli.workarounds.openblas import single_threaded

Piece = TypeVar("Piece")
Made = TypeVar("Made")
_AHEAD = 4  # results for each thread that may wait until the one before them is taken


class Map(Protocol):
    """As `map` of one iterable, with its results in their order."""

    def __call__(self, work: Callable[[Piece], Made], parts: Iterable[Piece], /) -> Iterator[Made]:
        """The results of `work` for each part."""


def count_threads() -> int:
    """As many as OMP_NUM_THREADS says, as the libraries below take it; else one a processor."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    if told.isdecimal() and int(told):
        return int(told)
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


@contextmanager
def threads() -> Iterator[Map]:
    """A `map` whose calls run side by side, on a thread each."""
    count = count_threads()
    if count == 1:
        yield map
        return
    with single_threaded(), ThreadPoolExecutor(count, "numpy") as pool:
        yield partial(_in_order, pool, _AHEAD * count)


def _in_order(
    pool: ThreadPoolExecutor,
    ahead: int,
    work: Callable[[Piece], Made],
    parts: Iterable[Piece],
) -> Iterator[Made]:
    """As `map`, no more than so many parts ahead of what is taken."""
    begun: deque[Future[Made]] = deque()
    try:
        for part in parts:
            begun.append(pool.submit(work, part))
            if len(begun) >= ahead:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        for each in begun:
            each.cancel()
