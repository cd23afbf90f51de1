"""Steps inside one unit of work, such as the windows of one image, for whoever shows progress."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_Listener = Callable[[int | None, int], None]  # told how many are to come, and how many more done
_heard: list[_Listener] = []


@contextmanager
def listening(listener: _Listener) -> Iterator[None]:
    """While it lasts, the listener is told of every step."""
    _heard.append(listener)
    try:
        yield
    finally:
        _heard.remove(listener)


def begin(total: int) -> None:
    """A unit of work begins that has so many steps."""
    for listener in _heard:
        listener(total, 0)


def advance(count: int) -> None:
    """So many steps more are done; may be called by any thread."""
    for listener in _heard:
        listener(None, count)
