"""A transformer of one's own, whose class token or attention is the embedding."""

import torch
from torch import Tensor, nn

from xmir_cli.model.architectures import Architecture
from xmir_cli.model.head import OpaqueHead
from xmir_cli.records import Preprocessing

WIDTH, SIDE = 12, 4


class Blocks(nn.Module):
    """Patches of 8 pixels, a class token and a block: tokens, as a map whose token 0 repeats."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, 8, 8)
        self.first = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.positions = nn.Parameter(torch.randn(1, SIDE**2 + 1, WIDTH) / 2)
        self.block = nn.TransformerEncoderLayer(
            WIDTH, 3, 24, batch_first=True, norm_first=True, activation="gelu"
        )

    def forward(self, images: Tensor) -> Tensor:
        patches = self.patches(images).flatten(2).transpose(1, 2)
        first = self.first.expand(len(images), -1, -1)
        tokens = self.block(torch.cat([first, patches], dim=1) + self.positions)
        grid = tokens[:, 1:].transpose(1, 2).unflatten(2, (SIDE, SIDE))
        return torch.cat([grid, tokens[:, :1].transpose(1, 2)[..., None].expand_as(grid)], dim=1)


class ClassToken(OpaqueHead):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, features: Tensor) -> Tensor:
        return self.norm(features[:, WIDTH:].mean(dim=(2, 3)))


class AfterPooling(OpaqueHead):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.last = nn.LayerNorm(8), nn.Linear(8, WIDTH)

    def forward(self, features: Tensor) -> Tensor:
        return nn.functional.hardswish(self.last(self.norm(features.mean(dim=(2, 3)))))


def class_token() -> Architecture:
    recipe = Preprocessing(input_size=32, resize=32)
    return Architecture(Blocks(), WIDTH, recipe, head=ClassToken())


def after_pooling() -> Architecture:
    recipe = Preprocessing(input_size=32, resize=32)
    maps = nn.Sequential(nn.Conv2d(3, 6, 2, 2), nn.ReLU(), nn.Conv2d(6, 8, 2, 2), nn.ReLU())
    return Architecture(maps, WIDTH, recipe, head=AfterPooling())
