"""A network that has its process end in the middle of a training step, as the environment says.

$STOP is RANK:STEP:SIGNAL, steps counted from 1 over all epochs; without it nothing happens.
"""

import os

import torch
from torch import nn

from xmir_cli.model.architectures import Architecture
from xmir_cli.records import Preprocessing


class Stop(nn.Module):
    """Passes images on; sends the signal at the step."""

    def __init__(self) -> None:
        super().__init__()
        self.step = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        rank, step, number = map(int, os.environ.get("STOP", "0:0:0").split(":"))
        self.step += self.training
        if self.training and self.step == step and rank == int(os.environ.get("RANK", "0")):
            os.kill(os.getpid(), number)
        return images


def network() -> Architecture:
    features = nn.Sequential(
        Stop(), nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Dropout(0)
    )
    return Architecture(features, channels=8, preprocessing=Preprocessing(input_size=32, resize=32))


def dropping() -> Architecture:
    """The same, which drops some of what it sees."""
    whole = network()
    whole.features[3].p = 0.5
    return whole
