"""A vision network of transformers as a feature map and a head."""

import torch
from torch import Tensor, nn

from xmir_cli.model.pooling import TokenHead
from xmir_cli.model.tokens import fold_tokens, unfold_tokens


class TokenFeatures(nn.Module):
    """The trunk's tokens as a map [B, (1 + prefixes) * C, h, w]."""

    def __init__(self, model: nn.Module, prefixes: int, stride: int, interpolate: bool) -> None:
        super().__init__()
        self.model = model
        self.prefixes, self.stride = prefixes, stride
        self.asked = {"interpolate_pos_encoding": True} if interpolate else {}

    def forward(self, images: Tensor) -> Tensor:
        tokens: Tensor = self.model(pixel_values=images, **self.asked).last_hidden_state
        grid = (images.shape[2] // self.stride, images.shape[3] // self.stride)
        return fold_tokens(tokens, self.prefixes, grid)


class PatchFeatures(nn.Module):
    """The same of a trunk that takes pictures of any shape as their patches: SigLIP 2."""

    def __init__(self, model: nn.Module, patch: int) -> None:
        super().__init__()
        self.model = model
        self.prefixes, self.patch = 0, patch

    def forward(self, images: Tensor) -> Tensor:
        count, channels, height, width = images.shape
        side = self.patch
        rows, columns = height // side, width // side
        parts = images.reshape(count, channels, rows, side, columns, side)
        patches = parts.permute(0, 2, 4, 3, 5, 1).reshape(count, rows * columns, -1)
        tokens: Tensor = self.model(
            pixel_values=patches,
            pixel_attention_mask=images.new_ones(count, rows * columns, dtype=torch.long),
            spatial_shapes=torch.tensor([[rows, columns]] * count, device=images.device),
        ).last_hidden_state
        return fold_tokens(tokens, 0, (rows, columns))


class MapFeatures(nn.Module):
    """The trunk's last map [B, C, h, w], before the norm that follows the pooling."""

    def __init__(self, model: nn.Module, norm: str, stride: int) -> None:
        super().__init__()
        self.model, self.stride = model, stride
        model.set_submodule(norm, nn.Identity())  # it is the head's

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.model(pixel_values=images).last_hidden_state
        if found.ndim == 4:
            return found
        grid = (images.shape[2] // self.stride, images.shape[3] // self.stride)
        return fold_tokens(found[:, 1:], 0, grid)  # the first is their mean


class LibraryHead(TokenHead):
    """The library's own pooling; its layers are held by the features."""

    def __init__(
        self,
        features: TokenFeatures | PatchFeatures,
        width: int,
        native: str,
        norm: str = "",
        projection: nn.Linear | None = None,
    ) -> None:
        super().__init__()
        self._features = (features,)  # in a tuple, so that its tensors are registered only once
        self.prefixes, self.width, self.has_class = features.prefixes, width, features.prefixes > 0
        self.native, self.last_norm = native, norm
        self.projection = nn.Identity() if projection is None else projection

    def forward(self, features: Tensor) -> Tensor:
        embedding: Tensor = self.projection(self._pool(features))
        return embedding

    def _pool(self, features: Tensor) -> Tensor:
        if self.native == "raw mean":
            return unfold_tokens(features, self.prefixes)[:, self.prefixes :].mean(dim=1)
        tokens = self.tokens(features)
        if self.native in {"pooler", "head"}:
            pooled: Tensor = self._layer(self.native)(tokens)
            return pooled
        parts = {"cls": tokens[:, 0], "mean": tokens[:, self.prefixes :].mean(dim=1)}
        return torch.cat([parts[part] for part in self.native.split("+")], dim=1)

    def tokens(self, maps: Tensor) -> Tensor:
        tokens = unfold_tokens(maps, self.prefixes)
        if self.last_norm:
            tokens = self._layer(self.last_norm)(tokens)
        return tokens

    def norm_pooled(self, pooled: Tensor) -> Tensor:
        """BEiT's, which takes the mean of the patches through one."""
        layers = dict(self._features[0].model.named_modules())
        norm = layers.get("pooler.layernorm")
        normed: Tensor = pooled if norm is None else norm(pooled)
        return normed

    def _layer(self, name: str) -> nn.Module:
        return self._features[0].model.get_submodule(name)
