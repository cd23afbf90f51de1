"""Requests to end are heard, whatever Python is doing."""

import signal
import subprocess
import sys

import pytest

from xmir_cli.signals import ending_waits

DROPPED = """
import signal, time, weakref
from xmir_cli.signals import end_tidily
end_tidily()
class Thing: pass
thing = Thing()
reference = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGTERM))
try:
    del thing
    time.sleep(10)
except KeyboardInterrupt as heard:
    print("heard", *heard.args)
"""


def test_a_request_in_a_callback_of_the_garbage_collector_is_heard():
    ended = subprocess.run([sys.executable, "-c", DROPPED], capture_output=True, text=True)
    assert (ended.stdout, ended.stderr) == (f"heard {signal.SIGTERM.value}\n", "")


def test_a_request_waits_for_the_end_of_the_block():
    done = []

    def work() -> None:
        with ending_waits():
            signal.raise_signal(signal.SIGINT)
            done.append("block")
        done.append("behind")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["block"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_the_caller_ignores_stays_ignored_in_the_block():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with ending_waits():
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
