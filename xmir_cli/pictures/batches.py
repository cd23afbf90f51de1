"""Images to be decoded, in parallel and in order."""

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from xmir_cli.errors import ItemError

Given = TypeVar("Given")
Loaded = TypeVar("Loaded")

_AHEAD = 32  # results that wait to be taken: about two batches


def decode_all(
    sources: Iterable[Given],
    load: Callable[[Given], Loaded],
    jobs: int | None,
    ahead: int = _AHEAD,
) -> Iterator[Loaded | ItemError]:
    """What `load` makes of each source, in their order, or the ItemError that it raised.

    `jobs` threads (None: one a processor) work ahead of the consumer, but never further than
    `ahead` results, so memory stays flat. Other exceptions come out at their place.
    """
    threads = jobs or _processors()
    waiting: deque[Future[Loaded | ItemError]] = deque()

    def load_or_refuse(source: Given) -> Loaded | ItemError:
        try:
            return load(source)
        except ItemError as error:
            return error.bare

    pool = ThreadPoolExecutor(threads, "decode")
    try:
        for source in sources:
            waiting.append(pool.submit(load_or_refuse, source))
            if len(waiting) >= threads + ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _processors() -> int:
    # cgroups and taskset may leave fewer than there are
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
