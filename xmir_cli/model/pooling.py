"""What of a transformer's tokens is the embedding: `pool`.

The tokens are those after the network's last norm. `cls` is the class token, `mean` the mean of the
patches' tokens, without class token and registers, `cls+mean` one after the other. A norm that the
network itself applies to what it pools is applied here, too; a projection is not.
"""

from abc import ABC, abstractmethod
from dataclasses import replace

import torch
from torch import Tensor

from xmir_cli.errors import SettingError
from xmir_cli.model.head import AveragePool, OpaqueHead
from xmir_cli.model.network import Architecture
from xmir_cli.wire.model import POOLS

AS_IT_IS = ""  # in the place of a pool: also a network that pools nothing by itself


class TokenHead(OpaqueHead, ABC):
    """A head over tokens, whose forward is the library's own pooling."""

    prefixes: int  # tokens before those of the patches: class token, registers
    has_class: bool  # whether the first of them is a class token
    width: int  # channels of a token

    @abstractmethod
    def tokens(self, maps: Tensor) -> Tensor:
        """Tokens [B, prefixes + h*w, width] after the network's last norm, of its features."""

    def norm_pooled(self, pooled: Tensor) -> Tensor:
        """What the network itself does to a pooled token [B, width], where that is a norm."""
        return pooled


class PooledTokens(OpaqueHead):
    """Class token, mean of the patches, or both, in the place of a library's own pooling."""

    def __init__(self, inner: TokenHead, parts: tuple[str, ...]) -> None:
        super().__init__()
        self.inner, self.parts = inner, parts

    def forward(self, features: Tensor) -> Tensor:
        tokens = self.inner.tokens(features)
        pooled = {"cls": tokens[:, 0], "mean": tokens[:, self.inner.prefixes :].mean(dim=1)}
        return torch.cat([self.inner.norm_pooled(pooled[part]) for part in self.parts], dim=1)


def repool(architecture: Architecture, pool: str, name: str) -> Architecture:
    """The architecture with that pooling; raises SettingError where it has not what that takes.

    Without tokens, `mean` is the average of the feature map, and what follows it in the network.
    """
    if pool == AS_IT_IS or (pool == "native" and architecture.pools):
        return architecture
    if pool == "native":
        message = f"{name} does not pool what it makes of an image into one vector"
        raise SettingError("pool", message, f"It has {', '.join(list_pools(architecture))}.")
    parts, head = tuple(pool.split("+")), architecture.head
    if "cls" in parts and not (isinstance(head, TokenHead) and head.has_class):
        has = f"It has {', '.join(sorted(list_pools(architecture)))}."
        raise SettingError("pool", f"{name} has no class token", has, value=pool)
    if isinstance(head, TokenHead):
        width = head.width * len(parts)
        return replace(architecture, head=PooledTokens(head, parts), channels=width)
    if head is None:
        return replace(architecture, pool=AveragePool())
    if not _averages(architecture, head):
        raise SettingError(
            "pool",
            f"{name} pools its feature map by more than a mean",
            "It has native.",
            value=pool,
        )
    return architecture


def list_pools(architecture: Architecture) -> list[str]:
    """The words of `pool` that an architecture has."""
    head, own = architecture.head, ["native"] if architecture.pools else []
    if isinstance(head, TokenHead):
        others = POOLS[1:] if head.has_class else ["mean"]
    else:
        others = ["mean"] if head is None or _averages(architecture, head) else []
    return [*own, *others]


def _averages(architecture: Architecture, head: OpaqueHead) -> bool:
    """Whether the embedding depends on nothing of the feature map but its mean."""
    size = architecture.preprocessing.input_size
    features, was_training = architecture.features, architecture.features.training
    features.eval()
    with torch.no_grad():
        maps = features(torch.linspace(-1, 1, 3 * size * size).sin().reshape(1, 3, size, size))
        flat = maps.mean(dim=(2, 3), keepdim=True).expand_as(maps)
        same = torch.allclose(head(maps), head(flat), rtol=1e-4, atol=1e-5)
    features.train(was_training)
    return same
