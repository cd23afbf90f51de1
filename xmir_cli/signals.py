"""Ending as a shell expects it: killed by the signal, and nothing half-written left behind."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_Handler = Callable[[int, FrameType | None], object] | int | None
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def end_tidily() -> None:
    """Whatever asks to end takes one way: what is half-written goes, what is done stays."""

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        del frame
        raise KeyboardInterrupt(number)

    for number in _ENDING:
        if signal.getsignal(number) in {signal.SIG_DFL, signal.default_int_handler}:
            # else it is ignored: nohup, and a shell for what it starts in the background
            signal.signal(number, interrupt)
    sys.unraisablehook = _ask_again


def _ask_again(dropped: "sys.UnraisableHookArgs") -> None:
    """Python drops what is raised in callbacks of the garbage collector: a request to end, too."""
    if isinstance(dropped.exc_value, KeyboardInterrupt):
        number = dropped.exc_value.args[0]
        threading.Timer(0.01, os.kill, (os.getpid(), number)).start()
    else:
        sys.__unraisablehook__(dropped)


@contextmanager
def ending_waits(patient: bool = False) -> Iterator[list[int]]:
    """A first request to end is heard when the block is left, a second at once if not `patient`.

    Gives the list of the requests so far.
    """
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # no signal comes here
        yield asked
        return
    before = {number: signal.getsignal(number) for number in _ENDING}

    def wait(number: int, frame: FrameType | None) -> None:
        del frame
        if asked and not patient:
            _handle(before)
            signal.raise_signal(number)
        asked.append(number)

    # what is ignored stays so, and what ends the process as its caller wanted
    _handle({number: wait for number, handler in before.items() if callable(handler)})
    try:
        yield asked
    finally:
        _handle(before)
    if asked:
        signal.raise_signal(asked[0])


@contextmanager
def ending_at_once() -> Iterator[None]:
    """A request to end kills the process while it waits in a library that would not hear it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _ENDING}
    _handle({number: signal.SIG_DFL for number, handler in before.items() if callable(handler)})
    try:
        yield
    finally:
        _handle(before)


def _handle(handlers: Mapping[signal.Signals, _Handler]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)


def die_of(number: int) -> NoReturn:
    """End as killed by the signal: the shell sees 141 for SIGPIPE, 130 for SIGINT."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)  # the interpreter's own last flush must not fail again
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)
