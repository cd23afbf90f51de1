"""Five small networks that end in five ways, for `--arch examples/trust/networks.py:FUNCTION`.

Four vision transformers of 0.5 million weights on 14 x 14 tokens, whose embedding is the class
token (without or with registers beside it), the mean of the tokens, or an attention pooling with a
learned question (MAP, as in SigLIP); and a convolutional network on a 7 x 7 map. Their stem is
convolutional: with plain patches so small a transformer learns little from so few pictures.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from xmir_cli.model.architectures import Architecture
from xmir_cli.model.head import OpaqueHead
from xmir_cli.model.tokens import fold_tokens, unfold_tokens
from xmir_cli.records import Preprocessing

SIZE, GRID = 80, 10  # pixels and tokens a side
WIDTH, DEPTH, HEADS = 64, 4, 4
RECIPE = Preprocessing(input_size=SIZE, resize=SIZE, mean=(0.5,) * 3, std=(0.25,) * 3)


def class_token() -> Architecture:
    """The embedding is the class token."""
    return Architecture(Tokens(1), WIDTH, RECIPE, head=FirstToken(1))


def registers() -> Architecture:
    """The embedding is the class token; four registers stand beside it."""
    return Architecture(Tokens(5), WIDTH, RECIPE, head=FirstToken(5))


def mean_of_tokens() -> Architecture:
    """The embedding is the mean of the tokens, which is the pooling that xmir assumes."""
    return Architecture(Tokens(0), WIDTH, RECIPE)


def attention_pooling() -> Architecture:
    """The embedding is what a learned question finds among the tokens."""
    return Architecture(Tokens(0), WIDTH, RECIPE, head=Question())


def convolutions() -> Architecture:
    """The embedding is the mean of a 7 x 7 map."""
    widths = (16, 32, 64, 96, 128)
    maps = [_convolution(narrow, wide) for narrow, wide in zip((3, *widths), widths, strict=False)]
    features = nn.Sequential(*maps[:4], Residual(96), _unhalved(96, 128), Residual(128))
    return Architecture(features, 128, RECIPE)


class Tokens(nn.Module):
    """A vision transformer up to its last norm, its tokens folded into a map."""

    def __init__(self, prefixes: int) -> None:
        super().__init__()
        self.prefixes = prefixes  # class token and registers
        self.stem = nn.Sequential(
            _convolution(3, 24), _convolution(24, 48), nn.Conv2d(48, WIDTH, 3, 2, 1)
        )
        self.first = nn.Parameter(0.02 * torch.randn(1, prefixes, WIDTH))
        self.positions = nn.Parameter(0.02 * torch.randn(1, GRID * GRID, WIDTH))
        self.blocks = nn.Sequential(*(Block() for _ in range(DEPTH)))
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, images: Tensor) -> Tensor:
        """Images [B, 3, 112, 112] to a map [B, (1 + prefixes) * 96, 14, 14]."""
        places = self.stem(images).flatten(2).transpose(1, 2) + self.positions
        tokens = torch.cat([self.first.expand(len(images), -1, -1), places], dim=1)
        return fold_tokens(self.norm(self.blocks(tokens)), self.prefixes, (GRID, GRID))


class Block(nn.Module):
    """Attention, then two linear layers, each beside a shortcut and behind a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)])
        self.triple, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = _mlp()

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens [B, n, 96] to the same shape."""
        asked, found, held = map(_apart, self.triple(self.norms[0](tokens)).chunk(3, dim=-1))
        attended = functional.scaled_dot_product_attention(asked, found, held)
        tokens = tokens + self.out(attended.transpose(1, 2).flatten(2))
        result: Tensor = tokens + self.mlp(self.norms[1](tokens))
        return result


class FirstToken(OpaqueHead):
    """The class token of a folded map."""

    def __init__(self, prefixes: int) -> None:
        super().__init__()
        self.prefixes = prefixes

    def forward(self, maps: Tensor) -> Tensor:
        """Maps to embeddings [B, 96]."""
        return unfold_tokens(maps, self.prefixes)[:, 0]


class Question(OpaqueHead):
    """Attention pooling: a learned question attends to all tokens, then two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.question = nn.Parameter(0.02 * torch.randn(1, 1, WIDTH))
        self.asked, self.pair = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 2 * WIDTH)
        self.out, self.norm = nn.Linear(WIDTH, WIDTH), nn.LayerNorm(WIDTH)
        self.mlp = _mlp()

    def forward(self, maps: Tensor) -> Tensor:
        """Maps [B, 96, 14, 14] to embeddings [B, 96]."""
        found, held = map(_apart, self.pair(unfold_tokens(maps, 0)).chunk(2, dim=-1))
        asked = _apart(self.asked(self.question)).expand(len(maps), -1, -1, -1)
        answer = functional.scaled_dot_product_attention(asked, found, held)
        pooled = self.out(answer.transpose(1, 2).flatten(2))[:, 0]
        result: Tensor = pooled + self.mlp(self.norm(pooled))
        return result


class Residual(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _unhalved(width, width),
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
        )
        self.out = nn.ReLU()

    def forward(self, maps: Tensor) -> Tensor:
        """Maps [B, width, h, w] to the same shape."""
        result: Tensor = self.out(maps + self.body(maps))
        return result


def _apart(tokens: Tensor) -> Tensor:
    """Tokens [B, n, 96] apart by heads: [B, 4, n, 24]."""
    return tokens.unflatten(-1, (HEADS, WIDTH // HEADS)).transpose(1, 2)


def _mlp() -> nn.Sequential:
    return nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))


def _convolution(narrow: int, wide: int) -> nn.Sequential:
    """A convolution that halves the resolution, its batch norm and a ReLU."""
    layer = nn.Conv2d(narrow, wide, 3, 2, 1, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(wide), nn.ReLU())


def _unhalved(narrow: int, wide: int) -> nn.Sequential:
    layer = nn.Conv2d(narrow, wide, 3, 1, 1, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(wide), nn.ReLU())
