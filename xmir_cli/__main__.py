"""`xmir` and `python -m xmir_cli`: Ctrl-C ends quietly even while the rest is being imported."""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else the caller ignores it
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until `run` has its own way

from xmir_cli.main import run

if __name__ == "__main__":
    run()
