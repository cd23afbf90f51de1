"""A transformer of 12 channels on 4 x 4 patches of 32 pixels; its attention is written out."""

import torch
from torch import Tensor, nn

from xmir_cli.model.architectures import Architecture
from xmir_cli.model.head import OpaqueHead
from xmir_cli.model.tokens import fold_tokens, unfold_tokens
from xmir_cli.records import Preprocessing

WIDTH, HEADS, GRID = 12, 3, (4, 4)


class _Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.qkv = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 3 * WIDTH)
        self.layer = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH), nn.GELU())

    def forward(self, tokens: Tensor) -> Tensor:
        q, k, v = (
            each.unflatten(2, (HEADS, -1)).transpose(1, 2)
            for each in self.qkv(self.norm(tokens)).chunk(3, dim=2)
        )
        mixed = ((2 * q) @ (2 * k).transpose(2, 3)).softmax(dim=-1) @ v
        tokens = tokens + mixed.transpose(1, 2).flatten(2)
        return tokens + self.layer(tokens)


class _Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, WIDTH, 8, 8)
        self.first = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.places = nn.Parameter(torch.randn(1, 17, WIDTH) / 2)
        self.blocks, self.norm = nn.Sequential(_Block(), _Block()), nn.LayerNorm(WIDTH)

    def forward(self, images: Tensor) -> Tensor:
        patches = self.embed(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.first.expand(len(images), -1, -1), patches], dim=1) + self.places
        return fold_tokens(self.norm(self.blocks(tokens)), 1, GRID)


class _First(OpaqueHead):
    def forward(self, features: Tensor) -> Tensor:
        return unfold_tokens(features, 1)[:, 0]


class _Mean(OpaqueHead):
    def forward(self, features: Tensor) -> Tensor:
        return unfold_tokens(features, 1)[:, 1:].mean(dim=1)


def first() -> Architecture:
    return _network(_First())


def mean() -> Architecture:
    return _network(_Mean())


def _network(head: OpaqueHead) -> Architecture:
    recipe = Preprocessing(input_size=32, resize=32)
    return Architecture(_Tokens(), channels=WIDTH, preprocessing=recipe, head=head)
