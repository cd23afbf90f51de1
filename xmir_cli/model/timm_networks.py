"""Any network of timm (extra `timm`), by its name there."""

import inspect
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

from torch import Tensor, nn

from xmir_cli.errors import ModelError, SettingError, reason_of
from xmir_cli.model.network import Adapt, Architecture, download_failed, triple
from xmir_cli.model.sources import near_architectures
from xmir_cli.model.timm_heads import TimmFeatures, TimmHead, timm_head
from xmir_cli.wire.model import INTERPOLATIONS, Preprocessing

_PREFIX = "timm:"  # of the names
_VIEWS = {"squash": "squash", "border": "pad"}  # by timm's crop_mode


def list_names() -> list[str]:
    """The names `timm:NAME` of all networks; none without timm."""
    try:
        import timm
    except ModuleNotFoundError:
        return []
    return [f"{_PREFIX}{name}" for name in timm.list_models()]


def build(name: str, input_size: int | None) -> Architecture:
    """The network `timm:NAME`; raises ModelError when timm or the network is not there."""
    return build_named(name.removeprefix(_PREFIX), input_size, name, {})


def build_named(
    network: str, input_size: int | None, name: str, settings: Mapping[str, object]
) -> Architecture:
    """A network by timm's own name, with settings of its constructor; errors call it `name`."""
    try:
        import timm
        from timm.data.config import resolve_data_config
    except ModuleNotFoundError:
        raise ModelError(f"{name}: needs the package timm", "pip install 'xmir[timm]'") from None
    if not timm.is_model(network.split(".")[0]):
        near = near_architectures(f"{_PREFIX}{network}") or "See timm.list_models() in Python."
        raise ModelError(f"timm:{network}: timm has no such network", near)
    model = _create(network, input_size, name, settings)
    preprocessing, odd = _timm_preprocessing(resolve_data_config(model=model))
    size = input_size or preprocessing.input_size
    features = TimmFeatures(model)
    try:
        head = timm_head(features, size)
        if size != preprocessing.input_size:
            _refuse_margin(head, features, size)
    except ModelError:  # a description of too large a network
        raise
    except Exception as error:  # noqa: BLE001 # a network of any shape fails in its own way
        raise _unusable(name, error, size if size != preprocessing.input_size else None) from None
    return Architecture(
        features,
        head.channels,
        preprocessing,
        head=None if head.plain_average else head,
        names=(("", "features.model."),),
        classifiers=_classifiers(model),
        adapt=find_adapt(network, model),
        pools=head.pools,
        notes=tuple(f"{name}: {each}" for each in odd),
    )


def _create(
    network: str, input_size: int | None, name: str, settings: Mapping[str, object]
) -> nn.Module:
    """The network with random weights, made for so many pixels where it asks for how many."""
    import timm

    described = settings.get("pretrained_cfg")
    if described is None:
        known = timm.get_pretrained_cfg(network, allow_unregistered=True)
        own = None if known is None else known.input_size
    else:
        assert isinstance(described, Mapping)
        own = described.get("input_size")
    wanted = input_size if own is None or input_size != own[1] else None
    build_model: Callable[..., nn.Module] = timm.create_model
    fixed = {"pretrained": False, "num_classes": 0, "checkpoint_path": ""}
    make = partial(build_model, network, **{**settings, **fixed})
    try:
        if wanted is not None:
            with suppress(TypeError):  # of a network that takes pictures of any size
                return make(img_size=wanted)
        return make()
    except ModelError:  # a description of too large a network
        raise
    except Exception as error:  # noqa: BLE001 # whatever its constructor makes of the size
        try:
            if wanted is not None:
                make()
        except ModelError:
            raise
        except Exception as other:  # noqa: BLE001 # so it is not the size that is to blame
            raise _unusable(name, other, None) from None
        raise _unusable(name, error, wanted) from None


def _unusable(name: str, error: Exception, input_size: int | None) -> SettingError:
    """What to say of a network that cannot be used, or not for so many pixels."""
    reason = reason_of(error)
    if input_size is None:
        return SettingError(
            "architecture",
            f"not a network that xmir can split into a feature map and a head ({reason})",
            value=name,
        )
    return SettingError("input_size", f"{name} does not take it ({reason})", value=str(input_size))


def _classifiers(model: nn.Module) -> tuple[str, ...]:
    """The prefixes of the layers that timm itself leaves out for other classes."""
    config = vars(model).get("pretrained_cfg") or {}
    found = config.get("classifier") or ()
    return tuple(f"{each}." for each in ([found] if isinstance(found, str) else found))


def find_adapt(name: str, model: nn.Module) -> Adapt | None:
    """The library's own way from published checkpoints, of any input size, to this network."""
    from timm.models import model_entrypoint

    module = sys.modules[model_entrypoint(name).__module__]
    convert: Callable[..., Mapping[str, Tensor]] | None = vars(module).get("checkpoint_filter_fn")
    if convert is None:
        return None
    if len(inspect.signature(convert).parameters) < 2:
        return convert
    return lambda state: convert(state, model)


def _timm_preprocessing(config: Mapping[str, object]) -> tuple[Preprocessing, list[str]]:
    """What timm does to a picture, and what of it cannot be done."""
    shape, crop, mode = config["input_size"], config["crop_pct"], str(config["crop_mode"])
    assert isinstance(shape, tuple)
    assert isinstance(crop, float | int)
    size, sampling = int(shape[1]), str(config["interpolation"])
    odd = []
    if sampling not in INTERPOLATIONS:
        odd.append(f"interpolation {sampling} of its recipe is bicubic here")
        sampling = "bicubic"
    if mode == "border":
        odd.append("beside a picture that is no square is black here, the mean in its recipe")
    return Preprocessing(
        input_size=size,
        resize=int(size / crop),
        interpolation=sampling,
        mean=triple(config["mean"]),  # type: ignore[arg-type] # timm's table of three floats
        std=triple(config["std"]),  # type: ignore[arg-type] # timm's table of three floats
        view=_VIEWS.get(mode, "crop"),
    ), odd


def _refuse_margin(head: TimmHead, features: TimmFeatures, size: int) -> None:
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
