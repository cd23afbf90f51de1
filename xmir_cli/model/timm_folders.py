"""Folders that timm wrote: `config.json` with `architecture`, `pretrained_cfg` and `model_args`."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from torch import Tensor

from xmir_cli.errors import ModelError, SettingError
from xmir_cli.model.folders import CONFIG, Folder, open_folder
from xmir_cli.model.network import Architecture, triple
from xmir_cli.model.recipes import tell
from xmir_cli.model.shards import read_folder_tensors
from xmir_cli.model.timm_mlps import PACKED, TAKEN, find_layers, is_packed
from xmir_cli.model.timm_networks import build_named
from xmir_cli.wire.ranges import LARGEST_INPUT, Triple, check_mean, check_std, read_whole

_WEIGHTS = ("model.safetensors", "open_clip_model.safetensors")
# what timm's description of weights tells that xmir follows; the others say where to fetch them
_FOLLOWED = {
    *("input_size", "fixed_input_size", "interpolation", "crop_pct", "crop_mode", "mean", "std"),
    *("first_conv", "classifier", "pool_size", "min_input_size", "custom_load"),
}
_RECIPE = {  # what of it says how pictures are prepared, by xmir's words
    "input_size": "size",
    "crop_pct": "resize",
    "interpolation": "interpolation",
    "mean": "mean",
    "std": "std",
}
# what timm's ways to build take that is no network's own: files, other weights, other kinds of it
_NOT_ITS_OWN = {
    *("checkpoint_path", "cache_dir", "model_name", "model_cls", "variant", "model_cfg", "cfg"),
    *("feature_cfg", "feature_cls", "features_only", "out_indices", "kwargs_filter", "pruned"),
    *("scriptable", "exportable", "no_jit", "device", "dtype"),
}
_WORD = re.compile(r"[\w.,+-]*")  # what texts among the arguments may be: names, never a place


def build(name: str, input_size: int | None) -> Architecture:
    """The network of a folder; raises ModelError when its description is none."""
    folder = open_folder(name)
    config = folder.read_json(CONFIG)
    network = config["architecture"]
    arguments = _own_arguments(name, _table(folder, config, "model_args"))
    if not isinstance(network, str) or not re.fullmatch(r"[\w.-]+", network):
        raise ModelError(f"{name}: {CONFIG}: architecture: expected the name of a network of timm")
    # once the description of the weights was all there was
    described = _table(folder, config, "pretrained_cfg") or config
    followed = _followed(name, described)
    if arguments.pop("in_chans", 3) not in (1, 3) or _channels(followed) not in (1, 3):
        raise ModelError(f"{name}: takes pictures of other than 1 or 3 channels")
    unsaid = tuple(word for key, word in _RECIPE.items() if key not in followed)
    file = CONFIG if len(unsaid) < len(_RECIPE) else ""
    followed["input_size"] = (3, *_sides(name, followed))
    odd: tuple[str, ...] = ()
    if "mlp_layer" not in arguments and is_packed(folder, _WEIGHTS, network, arguments):
        arguments |= PACKED
        odd = (f"its tensors are of packed MLPs, which its {CONFIG} does not say: {TAKEN}",)
    settings = {**arguments, **find_layers(name, arguments), "pretrained_cfg": followed}
    built = _build(network, input_size, name, settings)
    made_as = json.dumps([network, arguments], sort_keys=True)
    return tell(replace(built, made_as=made_as), name, file, odd, unsaid)


def _build(
    network: str, input_size: int | None, name: str, settings: Mapping[str, object]
) -> Architecture:
    """The network; one of maps that pools nothing is built as one that averages them."""
    if settings.get("global_pool") != "":
        return build_named(network, input_size, name, settings)
    try:
        return build_named(network, input_size, name, settings)
    except SettingError:
        average = {**settings, "global_pool": "avg"}
        return replace(build_named(network, input_size, name, average), pools=False)


def _own_arguments(name: str, arguments: Mapping[str, object]) -> dict[str, object]:
    """What a folder's description says of the network itself.

    Raises ModelError for what would have timm read a file, fetch weights or build something else.
    """
    given = {key: value for key, value in arguments.items() if value is not None}
    for key, value in given.items():
        if key in _NOT_ITS_OWN or key.startswith("pretrained") or not _is_plain(value):
            raise ModelError(
                f"{name}: {CONFIG}: model_args: {key[:60]} is not followed",
                "Only what shapes the network itself is: no file, place or other weights.",
            )
    return given


def _is_plain(value: object) -> bool:
    """Whether a value names nothing outside the network."""
    if isinstance(value, Mapping):
        return all(_is_plain(each) for pair in value.items() for each in pair)
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return not isinstance(value, str) or _WORD.fullmatch(value) is not None


def _followed(name: str, described: Mapping[str, object]) -> dict[str, object]:
    """What is followed of a description of weights; raises ModelError for what nobody could."""
    found = {
        key: _fixed(value)
        for key, value in described.items()
        if key in _FOLLOWED and value is not None
    }
    for key, check in _CHECKS.items():
        if key in found:
            try:
                found[key] = check(found[key])
            except (TypeError, ValueError, OverflowError) as error:
                raise ModelError(f"{name}: {CONFIG}: {key}: {error}") from None
    return found


def _three(values: object) -> Triple:
    given = values if isinstance(values, tuple) else ()
    if len(given) not in {1, 3}:
        raise ValueError("expected a number for each of three channels")
    return triple(given * 3 if len(given) == 1 else given)


def _share(value: object) -> float:
    """How much of the resized picture is seen."""
    if not isinstance(value, int | float) or not 0.01 <= value <= 100:  # of one pixel, or beyond it
        raise ValueError(f"expected 0.01 to 100, found {str(value)[:40]}")
    return value


def _name(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a name, found {type(value).__name__}")
    return value


def _names(value: object) -> object:
    return tuple(map(_name, value)) if isinstance(value, tuple) else _name(value)


def _size(value: object) -> object:
    sides = value[1:] if isinstance(value, tuple) else ()
    for side in sides:
        read_whole("side", side, LARGEST_INPUT)
    return value


_CHECKS: Mapping[str, Callable[[object], object]] = {
    "mean": lambda value: check_mean(_three(value)),
    "std": lambda value: check_std(_three(value)),
    "crop_pct": _share,
    "interpolation": _name,
    "crop_mode": _name,
    "classifier": _names,
    "input_size": _size,
}


def _fixed(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _channels(described: Mapping[str, object]) -> object:
    size = described.get("input_size", (3,))
    return size[0] if isinstance(size, tuple) and size else 3


def _sides(name: str, described: Mapping[str, object]) -> tuple[object, ...]:
    size = described.get("input_size", (3, 224, 224))
    if not isinstance(size, tuple) or len(size) != 3:
        raise ModelError(f"{name}: {CONFIG}: input_size: expected channels, height and width")
    if size[1] != size[2]:
        raise ModelError(
            f"{name}: sees {size[1]} x {size[2]} pixels; xmir's pictures are squares",
            "Save it from timm for a square: create_model(..., img_size=...).",
        )
    return size[1:]


def _table(folder: Folder, config: Mapping[str, object], key: str) -> dict[str, object]:
    found = config.get(key)
    if not isinstance(found, Mapping | None):
        raise ModelError(f"{folder.name}: {CONFIG}: {key}: expected an object")
    return dict(found or {})


def pretrained(name: str) -> Mapping[str, Tensor]:
    """The tensors that lie in the folder; raises ModelError."""
    return read_folder_tensors(open_folder(name))
