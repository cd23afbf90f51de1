import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from xmir_cli.workarounds.torch.dispatch import watch_operations
from xmir_cli.workarounds.torch.processor import has_bfloat16
from xmir_cli.workarounds.torch.tensors import count_changes

CPUINFO = Path("/proc/cpuinfo")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="of x86 alone oneDNN can be told less")
def test_bfloat16_needs_more_than_avx2():
    script = "from xmir_cli.workarounds.torch.processor import has_bfloat16\nprint(has_bfloat16())"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "False\n"


@pytest.mark.skipif(not CPUINFO.exists(), reason="only Linux lists what the processor can")
def test_processor_with_instructions_for_bfloat16_has_it():
    flags = set(CPUINFO.read_text().split())
    if flags & {"avx512_bf16", "amx_bf16"}:
        assert has_bfloat16()


def test_every_change_in_place_is_counted():
    tensors = [torch.zeros(2), torch.zeros(3)]
    before = count_changes(tensors)
    assert count_changes(tensors) == before
    tensors[1].add_(1)
    assert count_changes(tensors) > before


def test_operations_are_told_by_name_in_order():
    seen = []
    with watch_operations(lambda name, *_: seen.append(name)), torch.no_grad():
        maps = torch.nn.functional.conv2d(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 1, 1))
        torch.relu_(maps)
    assert [name for name in seen if name in {"convolution", "relu_"}] == ["convolution", "relu_"]
    assert maps.tolist() == [[[[1, 1], [1, 1]]]]
