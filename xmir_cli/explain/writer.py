"""Files written by threads of their own, while what comes next is computed."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

_THREADS = 2


class Writer:
    """Does what it is given: hashing and writing let go of Python's lock."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, "write")
        self._waiting: list[Future[object]] = []

    def __call__(self, write: Callable[[], object]) -> None:
        self._waiting.append(self._threads.submit(write))

    def wait(self) -> None:
        """Return when all of it is done; raises what the first that failed has raised."""
        waiting, self._waiting = self._waiting, []
        try:
            errors = [each.exception() for each in waiting]
        except BaseException:  # interrupted: what is half-written is still finished
            self._threads.shutdown(cancel_futures=True)
            raise
        for error in errors:
            if error is not None:
                raise error
