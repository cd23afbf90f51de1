"""Networks that pool in every way, crop or pad the picture, and one without an exact decomposition.

8 channels on an 8 x 8 grid of 32 pixels, of pictures whose shorter side becomes 40 or 20.
"""

from torch import Tensor, nn

from xmir_cli.model.architectures import Architecture
from xmir_cli.model.head import AveragePool, GeMPool, MaxPool, OpaqueHead
from xmir_cli.records import Preprocessing


def average() -> Architecture:
    return _network(AveragePool())


def largest() -> Architecture:
    return _network(MaxPool())


def generalised() -> Architecture:
    return _network(GeMPool())


def padded() -> Architecture:
    return _network(AveragePool(), resize=20)


def opaque() -> Architecture:
    return _network(AveragePool(), head=_First())


def waves() -> Architecture:
    return _network(AveragePool(), head=_Waves())


class _Waves(OpaqueHead):
    """What no rule holds."""

    def forward(self, features: Tensor) -> Tensor:
        return features.mean(dim=(2, 3)).mul(9).sin()


class _First(OpaqueHead):
    def forward(self, features: Tensor) -> Tensor:
        return features[:, :, 0, 0]


def _network(pool: nn.Module, resize: int = 40, head: OpaqueHead | None = None) -> Architecture:
    features = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.AvgPool2d(4))
    recipe = Preprocessing(input_size=32, resize=resize)
    return Architecture(features, channels=8, preprocessing=recipe, pool=pool, head=head)
