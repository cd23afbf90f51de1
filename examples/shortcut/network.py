"""A very small network for 64 pixels, which trains in seconds: `--arch network.py:network`."""

from torch import nn

from xmir_cli.model.architectures import Architecture
from xmir_cli.records import Preprocessing


def network() -> Architecture:
    """64 px in, 32 channels on an 8 x 8 grid out."""

    def block(narrow: int, wide: int) -> list[nn.Module]:
        convolution = nn.Conv2d(narrow, wide, 3, 2, 1, bias=False)
        return [convolution, nn.BatchNorm2d(wide), nn.ReLU()]

    features = nn.Sequential(*block(3, 16), *block(16, 24), *block(24, 32))
    grey = (0.5, 0.5, 0.5)
    recipe = Preprocessing(input_size=64, resize=64, mean=grey, std=(0.25, 0.25, 0.25))
    return Architecture(features, channels=32, preprocessing=recipe)
