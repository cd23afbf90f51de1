"""Ending as a shell expects it: killed by the signal, and nothing half-written left behind."""

import os
import signal
from types import FrameType
from typing import NoReturn


def end_tidily() -> None:
    """SIGTERM and SIGHUP take the way of Ctrl-C: what is half-written goes, what is done stays."""

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        del frame
        raise KeyboardInterrupt(number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:  # nohup ignores the latter
            signal.signal(number, interrupt)


def die_of(number: int) -> NoReturn:
    """End as killed by the signal: the shell sees 141 for SIGPIPE, 130 for SIGINT."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)  # the interpreter's own last flush must not fail again
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)
