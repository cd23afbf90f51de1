"""A network of timm as a feature map and a head: its forward_features and forward_head."""

import math

import torch
from torch import Tensor, nn

from xmir_cli.model.head import OpaqueHead
from xmir_cli.model.pooling import TokenHead
from xmir_cli.model.tokens import fold_tokens, unfold_tokens


class TimmFeatures(nn.Module):
    """timm's forward_features as a map [B, C, h, w], whichever layout the network has."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.channels: int = model.num_features  # type: ignore[assignment] # timm's own attribute
        prefixes = vars(model).get("num_prefix_tokens", 0)
        self.prefixes: int = prefixes

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.model.forward_features(images)  # type: ignore[operator] # timm's own
        if found.ndim == 3:
            side = math.isqrt(found.shape[1] - self.prefixes)
            return fold_tokens(found, self.prefixes, (side, side))
        if found.shape[1] != self.channels and found.shape[3] == self.channels:
            return found.permute(0, 3, 1, 2)
        return found


class TimmHead(OpaqueHead):
    """timm's own forward_head on the folded map; the model itself is held by the features."""

    def __init__(self, features: TimmFeatures, ndim: int, channels_last: bool) -> None:
        super().__init__()
        self._features = (features,)  # in a tuple, so that its tensors are registered only once
        self.ndim, self.channels_last = ndim, channels_last
        self.channels, self.side, self.plain_average = 0, 0, False
        self.pools = True  # whether it gives one vector

    def forward(self, maps: Tensor) -> Tensor:
        if self.channels_last:
            maps = maps.permute(0, 2, 3, 1)
        return self.finish(maps)

    def finish(self, found: Tensor) -> Tensor:
        """What timm makes of its own features."""
        (features,) = self._features
        vector: Tensor = features.model.forward_head(found, pre_logits=True)  # type: ignore[operator] # timm's own
        return vector


class _TimmTokenHead(TimmHead, TokenHead):
    """The same where the features are tokens, which another pooling can take, too."""

    def __init__(self, features: TimmFeatures, ndim: int) -> None:
        super().__init__(features, ndim, channels_last=False)
        self.prefixes, self.width = features.prefixes, features.channels
        names = {name.rpartition(".")[2] for name, _ in features.model.named_parameters()}
        self.has_class = self.prefixes > 0 and "cls_token" in names

    def forward(self, maps: Tensor) -> Tensor:
        return self.finish(self.tokens(maps))

    def tokens(self, maps: Tensor) -> Tensor:
        return unfold_tokens(maps, self.prefixes)

    def norm_pooled(self, pooled: Tensor) -> Tensor:
        (features,) = self._features
        norm = dict(features.model.named_children()).get("fc_norm")
        normed: Tensor = pooled if norm is None else norm(pooled)
        return normed


def timm_head(features: TimmFeatures, size: int) -> TimmHead:
    """The head of a timm network; whether it is plain averaging is found by trying it.

    Raises ValueError for features that are no square map, or not the head's whole input.
    """
    was_training = features.training
    features.eval()
    with torch.no_grad():
        probe = torch.linspace(-1, 1, 3 * size * size).sin().reshape(1, 3, size, size)
        found: object = features.model.forward_features(probe)  # type: ignore[operator] # timm's own
        _refuse_odd(found, features)
        assert isinstance(found, Tensor)
        maps = features(probe)
        head = (
            _TimmTokenHead(features, found.ndim)
            if found.ndim == 3
            else TimmHead(features, found.ndim, found.shape != maps.shape)
        )
        whole: object = features.model.forward_head(found, pre_logits=True)  # type: ignore[operator] # timm's own
        if found.ndim == 3 and isinstance(whole, Tensor) and whole.shape == found.shape:
            head.pools, head.channels, head.side = False, whole.shape[2], maps.shape[3]
            features.train(was_training)
            return head
        if not isinstance(whole, Tensor) or whole.ndim != 2:
            raise ValueError("its embedding is not one vector")
        if not torch.allclose(head(maps), whole, rtol=1e-3, atol=1e-5, equal_nan=True):
            raise ValueError("its embedding is not made of its feature map alone")
        trial = torch.arange(maps.numel(), dtype=torch.float32).reshape(maps.shape).sin()
        vector = head(trial)
        head.channels, head.side = vector.shape[1], maps.shape[3]
        average = trial.mean(dim=(2, 3))
        head.plain_average = vector.shape == average.shape and torch.allclose(
            vector, average, atol=1e-5
        )
    features.train(was_training)
    return head


def _refuse_odd(found: object, features: TimmFeatures) -> None:
    """Raise ValueError for what is no square map [B, C, h, h], [B, h, h, C] or its tokens."""
    if not isinstance(found, Tensor):
        raise ValueError("its features are not one tensor")
    shape = tuple(found.shape)
    if found.ndim == 3:
        cells = shape[1] - features.prefixes
        square = cells > 0 and math.isqrt(cells) ** 2 == cells
    elif found.ndim == 4:
        square = shape[2] == shape[3] if shape[1] == features.channels else shape[1] == shape[2]
        square = square or (features.channels not in shape[1:] and shape[2] == shape[3])
    else:
        square = False
    if not square:
        raise ValueError(f"its features {list(shape[1:])} are no square map")
