"""What torch knows of the processor."""

import torch


def has_bfloat16() -> bool:
    """Whether oneDNN, with which torch computes on this processor, takes bfloat16.

    It also says yes for AVX-512 without instructions for bfloat16, where it emulates them.

    Why: autocast runs bfloat16 on every processor, on most of them several times slower than
    float32. `torch.cpu.get_capabilities`, which is public, may be newer than the oldest torch that
    xmir accepts.
    Seen with: torch 2.14.1.
    Fails without: tests/workarounds/test_torch.py
    test_bfloat16_needs_more_than_avx2
    """
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
