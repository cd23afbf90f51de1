"""A transformer's tokens as a feature map and back."""

import torch
from torch import Tensor


def fold_tokens(tokens: Tensor, prefixes: int, grid: tuple[int, int]) -> Tensor:
    """Tokens [B, prefixes + h*w, C] as a map [B, (1 + prefixes) * C, h, w]; prefixes repeat."""
    count, channels = len(tokens), tokens.shape[2]
    patches = tokens[:, prefixes:].transpose(1, 2).reshape(count, channels, *grid)
    repeated = tokens[:, :prefixes].reshape(count, prefixes * channels, 1, 1).expand(-1, -1, *grid)
    return torch.cat([patches, repeated], dim=1)


def unfold_tokens(features: Tensor, prefixes: int) -> Tensor:
    """What `fold_tokens` folded: [B, (1 + prefixes) * C, h, w] -> [B, prefixes + h*w, C]."""
    channels = features.shape[1] // (1 + prefixes)
    patches = features[:, :channels].flatten(2).transpose(1, 2)
    first = features[:, channels:].mean(dim=(2, 3)).reshape(len(features), prefixes, channels)
    return torch.cat([first, patches], dim=1)
