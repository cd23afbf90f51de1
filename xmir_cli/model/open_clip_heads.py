"""The image towers of open_clip as feature maps and heads."""

from typing import TYPE_CHECKING

from torch import Tensor, nn

from xmir_cli.model.head import OpaqueHead
from xmir_cli.model.pooling import TokenHead
from xmir_cli.model.tokens import fold_tokens, unfold_tokens
from xmir_cli.workarounds.open_clip import pool_tokens, read_tokens

if TYPE_CHECKING:
    from open_clip.transformer import VisionTransformer


class Projected(OpaqueHead):
    """A head of timm, the classifier that some towers project with, and open_clip's projection."""

    def __init__(self, inner: OpaqueHead, last: nn.Module, projection: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self._last = (last,)  # in a tuple, for its tensors are registered with timm's network
        self.projection = projection

    def forward(self, features: Tensor) -> Tensor:
        embedding: Tensor = self.projection(self._last[0](self.inner(features)))
        return embedding


class ProjectedTokens(Projected, TokenHead):
    """The same where the features are tokens, which another pooling can take, too."""

    def __init__(self, inner: TokenHead, last: nn.Module, projection: nn.Module) -> None:
        super().__init__(inner, last, projection)
        self.prefixes, self.has_class, self.width = inner.prefixes, inner.has_class, inner.width
        self._tokens = (inner,)

    def tokens(self, maps: Tensor) -> Tensor:
        return self._tokens[0].tokens(maps)

    def norm_pooled(self, pooled: Tensor) -> Tensor:
        return self._tokens[0].norm_pooled(pooled)


class Tokens(nn.Module):
    """The tokens of a transformer after its blocks, as a map [B, 2 * C, h, w]."""

    def __init__(self, visual: "VisionTransformer") -> None:
        super().__init__()
        self.visual = visual

    def forward(self, images: Tensor) -> Tensor:
        return fold_tokens(read_tokens(self.visual, images), 1, self.visual.grid_size)


class Pooled(TokenHead):
    """The transformer's own pooling and projection; its tensors are held by the features."""

    prefixes, has_class = 1, True

    def __init__(self, visual: "VisionTransformer") -> None:
        super().__init__()
        self._visual = (visual,)  # in a tuple, so that its tensors are registered only once
        self.width: int = visual.conv1.out_channels

    def forward(self, features: Tensor) -> Tensor:
        return pool_tokens(self._visual[0], unfold_tokens(features, 1))

    def tokens(self, maps: Tensor) -> Tensor:
        tokens, visual = unfold_tokens(maps, 1), self._visual[0]
        first = visual.attn_pool is None and not visual.final_ln_after_pool
        return visual.ln_post(tokens) if first else tokens

    def norm_pooled(self, pooled: Tensor) -> Tensor:
        visual = self._visual[0]
        last = visual.attn_pool is None and visual.final_ln_after_pool
        return visual.ln_post(pooled) if last else pooled


class AttentionPool(OpaqueHead):
    """The attention pooling of OpenAI's ResNets."""

    def __init__(self, pooling: nn.Module) -> None:
        super().__init__()
        self.pooling = pooling

    def forward(self, features: Tensor) -> Tensor:
        embedding: Tensor = self.pooling(features)
        return embedding
