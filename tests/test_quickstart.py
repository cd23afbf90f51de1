"""What the quickstart's recipe rests on: the network's cells lie where maps draw them."""

import importlib.util
from pathlib import Path

import pytest
import torch
from torch import nn

NETWORK = Path(__file__).parent.parent / "examples" / "small_network.py"


def test_the_middle_of_what_a_cell_sees_is_the_middle_of_its_square():
    spec = importlib.util.spec_from_file_location("small_network", NETWORK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    features = module.network().features.eval()
    for part in features.modules():
        if isinstance(part, nn.Conv2d):  # every weight alike: what a cell sees is symmetrical
            nn.init.constant_(part.weight, 1 / part.weight[0].numel())
    sides = []
    for length in range(3, len(features) + 1):  # behind the first convolution and each block
        images = torch.ones(1, 3, 112, 112, requires_grad=True)
        maps = features[:length](images)
        side = maps.shape[-1]
        maps[0, :, side // 2, side // 2].sum().backward()
        seen = images.grad.sum(dim=(0, 1))  # [112, 112]
        for axis in (0, 1):
            share = seen.sum(dim=axis) / seen.sum()
            middle = float(share @ torch.arange(112.0))
            assert middle == pytest.approx((side // 2 + 0.5) * 112 / side - 0.5, abs=1e-3)
        sides.append(side)
    assert sides == [56, 28, 14, 14]
