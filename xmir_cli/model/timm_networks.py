"""Any network of timm (extra `timm`), through its forward_features and forward_head."""

import inspect
import math
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

import torch
from torch import Tensor, nn

from xmir_cli.errors import ModelError, SettingError
from xmir_cli.model.head import OpaqueHead
from xmir_cli.model.network import Adapt, Architecture, download_failed, triple
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
    model = _create(name, input_size)
    preprocessing = _timm_preprocessing(resolve_data_config(model=model))
    size = input_size or preprocessing.input_size
    features = _TimmFeatures(model)
    try:
        head = _timm_head(features, size)
        if size != preprocessing.input_size:
            _refuse_margin(head, features, size)
    except Exception as error:  # noqa: BLE001 # a network of any shape fails in its own way
        raise _unusable(name, error, size if size != preprocessing.input_size else None) from None
    return Architecture(
        features,
        head.channels,
        preprocessing,
        head=None if head.plain_average else head,
        names=(("", "features.model."),),
        classifiers=_classifiers(model),
        adapt=_adapt(name, model),
    )


def _create(name: str, input_size: int | None) -> nn.Module:
    """The network with random weights, made for so many pixels where it asks for how many."""
    import timm

    own = timm.get_pretrained_cfg(name, allow_unregistered=True)
    wanted = input_size if own is None or input_size != own.input_size[1] else None
    make: Callable[..., nn.Module] = partial(
        timm.create_model, name, pretrained=False, num_classes=0
    )
    try:
        if wanted is not None:
            with suppress(TypeError):  # of a network that takes pictures of any size
                return make(img_size=wanted)
        return make()
    except Exception as error:  # noqa: BLE001 # whatever its constructor makes of the size
        raise _unusable(name, error, wanted) from None


def _unusable(name: str, error: Exception, input_size: int | None) -> SettingError:
    """What to say of a network that cannot be used, or not for so many pixels."""
    reason = " ".join(str(error).split())[:120] or type(error).__name__
    if input_size is None:
        return SettingError(
            "architecture",
            f"not a network that xmir can split into a feature map and a head ({reason})",
            value=f"timm:{name}",
        )
    return SettingError(
        "input_size", f"timm:{name} does not take it ({reason})", value=str(input_size)
    )


def _classifiers(model: nn.Module) -> tuple[str, ...]:
    """The prefixes of the layers that timm itself leaves out for other classes."""
    config = vars(model).get("pretrained_cfg") or {}
    found = config.get("classifier") or ()
    return tuple(f"{each}." for each in ([found] if isinstance(found, str) else found))


def _adapt(name: str, model: nn.Module) -> Adapt | None:
    """The library's own way from published checkpoints, of any input size, to this network."""
    from timm.models import model_entrypoint

    module = sys.modules[model_entrypoint(name).__module__]
    convert: Callable[..., Mapping[str, Tensor]] | None = vars(module).get("checkpoint_filter_fn")
    if convert is None:
        return None
    if len(inspect.signature(convert).parameters) < 2:
        return convert
    return lambda state: convert(state, model)


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
            side = math.isqrt(found.shape[1] - self.prefixes)
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
        self.channels, self.side, self.plain_average = 0, 0, False

    def forward(self, maps: Tensor) -> Tensor:
        (features,) = self._features
        if self.ndim == 3:
            maps = unfold_tokens(maps, features.prefixes)
        elif self.channels_last:
            maps = maps.permute(0, 2, 3, 1)
        vector: Tensor = features.model.forward_head(maps, pre_logits=True)  # type: ignore[operator] # timm's own
        return vector


def _timm_head(features: _TimmFeatures, size: int) -> _TimmHead:
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
        head = _TimmHead(features, found.ndim, found.shape != maps.shape)
        whole: object = features.model.forward_head(found, pre_logits=True)  # type: ignore[operator] # timm's own
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


def _refuse_odd(found: object, features: _TimmFeatures) -> None:
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


def _refuse_margin(head: _TimmHead, features: _TimmFeatures, size: int) -> None:
    """Raise ValueError where patches do not tile the input: maps would not fit the picture."""
    stages = vars(features.model).get("feature_info")
    patch = int(stages[-1]["reduction"]) if isinstance(stages, list) else size // head.side
    if head.ndim == 3 and head.side * patch != size:
        raise ValueError(f"expected a multiple of its patches, {patch}")


def pretrained(name: str) -> Mapping[str, Tensor]:
    """Timm's pretrained weights; raises ModelError when they cannot be had."""
    import timm

    try:
        model = timm.create_model(name.removeprefix(_PREFIX), pretrained=True, num_classes=0)
    except Exception as error:  # noqa: BLE001 # the hub client raises whatever its transport does
        raise download_failed(name, error) from None
    state: Mapping[str, Tensor] = model.state_dict()
    return state
