"""Folders that timm wrote: `config.json` with `architecture`, `pretrained_cfg` and `model_args`."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from xmir_cli.errors import ModelError
from xmir_cli.model.folders import CONFIG, Folder, open_folder
from xmir_cli.model.network import Architecture
from xmir_cli.model.recipes import tell
from xmir_cli.model.shards import read_folder_tensors
from xmir_cli.model.timm_networks import build_named

_WEIGHTS = ("model.safetensors", "open_clip_model.safetensors")
# what timm's description of weights tells that xmir follows; the others say where to fetch them
_FOLLOWED = {
    *("input_size", "fixed_input_size", "interpolation", "crop_pct", "crop_mode", "mean", "std"),
    *("first_conv", "classifier", "pool_size", "min_input_size", "custom_load"),
}


def build(name: str, input_size: int | None) -> Architecture:
    """The network of a folder; raises ModelError when its description is none."""
    folder = open_folder(name)
    config = folder.read_json(CONFIG)
    network, arguments = config["architecture"], _table(folder, config, "model_args")
    if not isinstance(network, str) or not re.fullmatch(r"[\w.-]+", network):
        raise ModelError(f"{name}: {CONFIG}: architecture: expected the name of a network of timm")
    # once the description of the weights was all there was
    described = _table(folder, config, "pretrained_cfg") or config
    followed = {key: _fixed(value) for key, value in described.items() if key in _FOLLOWED}
    if arguments.pop("in_chans", 3) not in {1, 3} or _channels(followed) not in {1, 3}:
        raise ModelError(f"{name}: takes pictures of other than 1 or 3 channels")
    followed["input_size"] = (3, *_sides(name, followed))
    for key in ("mean", "std"):
        if isinstance(values := followed.get(key), tuple) and len(values) == 1:
            followed[key] = values * 3
    settings = {**arguments, "pretrained_cfg": followed}
    built = build_named(network, input_size, name, settings)
    made_as = json.dumps([network, arguments], sort_keys=True)
    return tell(replace(built, made_as=made_as), name, CONFIG)


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
