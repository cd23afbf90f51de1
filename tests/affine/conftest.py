"""A transformer small enough to be followed by hand."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

CHANNELS, SIDE, PATCH = 8, 4, 4  # of a token; patches of a side; pixels of a patch's side
SIZE = SIDE * PATCH

MakeViT = Callable[..., nn.Module]


class Block(nn.Module):
    """Attention with two heads, then two layers; both behind a norm and added."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(CHANNELS), nn.LayerNorm(CHANNELS)
        self.qkv, self.out = nn.Linear(CHANNELS, 3 * CHANNELS), nn.Linear(CHANNELS, CHANNELS)
        self.up, self.down = nn.Linear(CHANNELS, 16), nn.Linear(16, CHANNELS)

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.qkv(self.norm1(x)).unflatten(-1, (3, 2, -1)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(*qkv)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.down(functional.gelu(self.up(self.norm2(x))))


class ViT(nn.Module):
    """Two blocks; `pool` says what of the tokens is the embedding."""

    def __init__(self, prefixes: int, pool: str) -> None:
        super().__init__()
        self.pool, self.prefixes = pool, prefixes
        self.patches = nn.Conv2d(3, CHANNELS, PATCH, PATCH)
        self.prefix = nn.Parameter(torch.empty(1, prefixes, CHANNELS))
        self.positions = nn.Parameter(torch.empty(1, prefixes + SIDE**2, CHANNELS))
        self.blocks = nn.ModuleList([Block(), Block()])
        self.norm = nn.LayerNorm(CHANNELS)
        self.query = nn.Parameter(torch.empty(1, 1, CHANNELS))
        self.last = nn.Linear(CHANNELS, CHANNELS)
        self.attention = nn.MultiheadAttention(CHANNELS, 2, batch_first=True)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.prefix.expand(len(images), -1, -1), tokens], dim=1) + self.positions
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        if self.pool == "attention":
            return self.attention(self.query.expand(len(x), -1, -1), x, x)[0][:, 0]
        mean = x[:, self.prefixes :].mean(dim=1)
        if self.pool == "pooler":
            return self.last(x[:, 0]).tanh()
        return {"cls": x[:, 0], "mean": mean, "both": torch.cat([x[:, 0], mean], dim=1)}[self.pool]


def vit(prefixes: int = 1, pool: str = "cls", seed: int = 0) -> nn.Module:
    """One whose every parameter matters, frozen, in float32."""
    network, generator = ViT(prefixes, pool).eval(), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(noise * (0.4 if parameter.ndim > 1 else 0.5) + (parameter.ndim == 1))
    return network.requires_grad_(False)


@pytest.fixture
def make_vit() -> MakeViT:
    return vit


@pytest.fixture
def image() -> Tensor:
    return torch.randn(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(7))
