import subprocess
import sys

import pytest

SCRIPT = """
import numpy as np
from xmir_cli.workarounds import openblas

def count():
    return openblas._find("get")()

before = count()
with openblas.single_threaded():
    assert count() == 1
    assert (np.ones((3, 300)) @ np.ones((300, 2)) == 300).all()
print(before, count())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="libraries are found in /proc")
def test_a_product_takes_one_thread_and_then_as_many_as_before(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() in (["2", "2"], ["1", "1"])  # on one processor


def test_another_library_is_left_alone(monkeypatch):
    from xmir_cli.workarounds import openblas

    monkeypatch.setattr(openblas, "_find", lambda _: None)
    with openblas.single_threaded():
        pass
