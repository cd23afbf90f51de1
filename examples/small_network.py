"""A small convolutional network of one's own, for `--arch examples/small_network.py:network`.

What the function returns is all that xmir needs to know of a network: the features as a module
[B, 3, H, W] -> [B, channels, h, w], how many channels they have, and the preprocessing.
"""

from torch import Tensor, nn

from xmir_cli.model.architectures import Architecture
from xmir_cli.records import Preprocessing


class Residual(nn.Module):
    """Two convolutions beside a shortcut; halves the resolution when `stride` is 2.

    What halves has an even kernel, so that the middle of what a cell sees is the middle of the
    square that the cell covers: a kernel of 3 would put it half a cell up and to the left, and the
    peak of a map beside what it is about.
    """

    def __init__(self, narrow: int, wide: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(narrow, wide, 2 + stride, stride, 1, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU(),
            nn.Conv2d(wide, wide, 3, 1, 1, bias=False),
            nn.BatchNorm2d(wide),
        )
        self.shortcut = nn.Conv2d(narrow, wide, stride, stride, bias=False)
        self.out = nn.ReLU()

    def forward(self, maps: Tensor) -> Tensor:
        """Maps [B, narrow, h, w] to [B, wide, h / stride, w / stride]."""
        result: Tensor = self.out(self.body(maps) + self.shortcut(maps))
        return result


def network() -> Architecture:
    """112 px in, 96 channels on a 14 x 14 grid out; 0.2 million weights."""
    features = nn.Sequential(
        nn.Conv2d(3, 16, 4, 2, 1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        Residual(16, 32, 2),
        Residual(32, 64, 2),
        Residual(64, 96, 1),
    )
    grey = (0.5, 0.5, 0.5)
    recipe = Preprocessing(input_size=112, resize=112, mean=grey, std=(0.25, 0.25, 0.25))
    return Architecture(features, channels=96, preprocessing=recipe)
