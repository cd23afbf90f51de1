"""A progress bar on the terminal must not swallow the data that flows into a pipe."""

import os
import pty
import subprocess
import sys

SCRIPT = """
import time
from xmir_cli import console
console._QUIET_SECONDS = 0
with console.progress("rows", 5) as bar:
    for row in range(5):
        time.sleep(0.01)
        bar.advance()
        print(row)
"""


def test_records_printed_under_a_bar_reach_the_pipe():
    terminal, end = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=end, check=True
    )
    os.close(end)
    assert done.stdout.split() == [b"0", b"1", b"2", b"3", b"4"]
    assert b"rows" in os.read(terminal, 1 << 16)
    os.close(terminal)
