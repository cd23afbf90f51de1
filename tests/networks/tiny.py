"""The network of the tests: what a user's own FILE.py:FUNCTION looks like."""

from torch import nn

from xmir_cli.model.architectures import Architecture
from xmir_cli.records import Preprocessing


def network() -> Architecture:
    features = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
    )
    return Architecture(
        features, channels=16, preprocessing=Preprocessing(input_size=32, resize=32)
    )
