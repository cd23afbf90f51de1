"""Asking a server again that could not answer, a little later each time."""

import time
from collections.abc import Callable
from typing import TypeVar

from xmir_cli.errors import DataError

Answer = TypeVar("Answer")

FIRST_WAIT = 0.25  # seconds, doubled each time
CONNECTING, GOING_ON = 3, 7  # tries: a second to reach a server, half a minute while it restarts
MEANWHILE = "Another run or person did that. Run it again: a load that lost its items begins anew."
LOADS_GO_ON = "A load that was interrupted goes on where it was: run 'xmir index' again."


class LostError(DataError):
    """The server did not answer, or not yet; it may when it is asked again."""


def again(ask: Callable[[], Answer], tries: int) -> Answer:
    """What `ask` finds, asked again while it raises LostError; the last one is raised."""
    wait = FIRST_WAIT
    for _ in range(tries - 1):
        try:
            return ask()
        except LostError:
            time.sleep(wait)
            wait *= 2
    return ask()
