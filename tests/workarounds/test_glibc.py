import subprocess
import sys

import pytest

from xmir_cli.workarounds import glibc

SCRIPT = """
import resource
import torch
from xmir_cli.workarounds.glibc import keep_freed_memory

{}
def count_faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def use():
    torch.empty(64 << 20, dtype=torch.uint8).fill_(1)

for _ in range(30):
    use()
before = count_faults()
for _ in range(10):
    use()
print(count_faults() - before)
"""


def count_faults(first: str) -> int:
    """Fresh pages for ten blocks of 64 MiB that are freed one after the other."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(first)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is Linux's")
def test_large_blocks_are_reused_without_fresh_pages():
    assert count_faults("keep_freed_memory()") < 10
    assert count_faults("") > 100  # else it is no longer needed


def test_other_systems_and_libraries_are_left_alone(monkeypatch):
    monkeypatch.setattr(glibc.ctypes, "CDLL", lambda _: object())
    glibc.keep_freed_memory()
    monkeypatch.setattr(glibc.sys, "platform", "darwin")
    monkeypatch.setattr(glibc.ctypes, "CDLL", None)
    glibc.keep_freed_memory()
