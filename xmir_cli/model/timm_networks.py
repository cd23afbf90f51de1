"""Any network of timm (extra `timm`), through its forward_features and forward_head."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from xmir_cli.errors import ModelError
from xmir_cli.model.head import OpaqueHead
from xmir_cli.model.network import Architecture, download_failed, triple
from xmir_cli.model.sources import near_architectures
from xmir_cli.model.tokens import fold_tokens, unfold_tokens
from xmir_cli.wire.model import Preprocessing

_PREFIX = "timm:"  # of the names


def list_names() -> list[str]:
    """The names `timm:NAME` of all networks; none without timm."""
    try:
        import timm
    except ModuleNotFoundError:
        return []
    return [f"{_PREFIX}{name}" for name in timm.list_models()]


def build(name: str, input_size: int | None) -> Architecture:
    """The network `timm:NAME`; raises ModelError when timm or the network is not there."""
    name = name.removeprefix(_PREFIX)
    try:
        import timm
        from timm.data.config import resolve_data_config
    except ModuleNotFoundError:
        raise ModelError(
            f"timm:{name}: needs the package timm", "pip install 'xmir[timm]'"
        ) from None
    if not timm.is_model(name.split(".")[0]):
        near = near_architectures(f"{_PREFIX}{name}") or "See timm.list_models() in Python."
        raise ModelError(f"timm:{name}: timm has no such network", near)
    model: nn.Module = timm.create_model(name, pretrained=False, num_classes=0)
    features = _TimmFeatures(model)
    preprocessing = _timm_preprocessing(resolve_data_config(model=model))
    size = input_size or preprocessing.input_size
    head = _timm_head(features, size)
    return Architecture(
        features,
        head.channels,
        preprocessing,
        head=None if head.plain_average else head,
        names=(("", "features.model."),),
    )


def _timm_preprocessing(config: Mapping[str, object]) -> Preprocessing:
    shape, crop = config["input_size"], config["crop_pct"]
    assert isinstance(shape, tuple)
    assert isinstance(crop, float | int)
    size = int(shape[1])
    return Preprocessing(
        input_size=size,
        resize=int(size / crop),
        interpolation="bilinear" if config["interpolation"] == "bilinear" else "bicubic",
        mean=triple(config["mean"]),  # type: ignore[arg-type] # timm's table of three floats
        std=triple(config["std"]),  # type: ignore[arg-type] # timm's table of three floats
    )


class _TimmFeatures(nn.Module):
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
            side = round((found.shape[1] - self.prefixes) ** 0.5)
            return fold_tokens(found, self.prefixes, (side, side))
        if found.shape[1] != self.channels and found.shape[3] == self.channels:
            return found.permute(0, 3, 1, 2)
        return found


class _TimmHead(OpaqueHead):
    """timm's own forward_head on the folded map; the model itself is held by the features."""

    def __init__(self, features: _TimmFeatures, ndim: int, channels_last: bool) -> None:
        super().__init__()
        self._features = (features,)  # in a tuple, so that its tensors are registered only once
        self.ndim, self.channels_last = ndim, channels_last
        self.channels, self.plain_average = 0, False

    def forward(self, maps: Tensor) -> Tensor:
        (features,) = self._features
        if self.ndim == 3:
            maps = unfold_tokens(maps, features.prefixes)
        elif self.channels_last:
            maps = maps.permute(0, 2, 3, 1)
        vector: Tensor = features.model.forward_head(maps, pre_logits=True)  # type: ignore[operator] # timm's own
        return vector


def _timm_head(features: _TimmFeatures, size: int) -> _TimmHead:
    """The head of a timm network; whether it is plain averaging is found by trying it."""
    was_training = features.training
    features.eval()
    with torch.no_grad():
        probe = torch.zeros(1, 3, size, size)
        found: Tensor = features.model.forward_features(probe)  # type: ignore[operator] # timm's own
        maps = features(probe)
        head = _TimmHead(features, found.ndim, found.shape != maps.shape)
        trial = torch.arange(maps.numel(), dtype=torch.float32).reshape(maps.shape).sin()
        vector = head(trial)
        head.channels = vector.shape[1]
        average = trial.mean(dim=(2, 3))
        head.plain_average = vector.shape == average.shape and torch.allclose(
            vector, average, atol=1e-5
        )
    features.train(was_training)
    return head


def pretrained(name: str) -> Mapping[str, Tensor]:
    """Timm's pretrained weights; raises ModelError when they cannot be had."""
    import timm

    try:
        model = timm.create_model(name.removeprefix(_PREFIX), pretrained=True, num_classes=0)
    except Exception as error:  # noqa: BLE001 # the hub client raises whatever its transport does
        raise download_failed(name, error) from None
    state: Mapping[str, Tensor] = model.state_dict()
    return state
