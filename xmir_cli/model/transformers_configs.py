"""What a folder of transformers says of its vision network, read as plain data.

The class of the model_type reads the configuration; what of it would fetch or run something is
left out.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from xmir_cli.errors import ModelError, reason_of
from xmir_cli.guesses import near_hint
from xmir_cli.model.folders import CONFIG, Folder
from xmir_cli.model.shards import weights_files
from xmir_cli.model.transformers_families import FAMILIES, MASKED, PROJECTED, Family
from xmir_cli.model.transformers_settings import LEFT_OUT, is_quantized, plain_settings
from xmir_cli.store.checkpoint import read_tensors_header

_NO_PART = {  # of the network itself
    *("architectures", "transformers_version", "id2label", "label2id", "num_labels"),
    *("problem_type", "image_size", "finetuning_task"),
}


@dataclass(frozen=True)
class Vision:
    """The vision network that a folder describes."""

    family: Family
    kind: str  # its model_type
    config: Any  # transformers' own
    native: str  # what is pooled
    made_by: str = ""  # the class that wrote the folder
    projection: int | None = None  # size of the embedding, where the pooled vector is projected
    arguments: Mapping[str, bool] = field(default_factory=dict)  # of the trunk's constructor


def describe(folder: Folder) -> Vision:
    """The vision network; of two towers the one that sees. Raises ModelError."""
    whole = folder.read_json(CONFIG)
    kind, described = str(whole["model_type"]), dict(whole)
    inner = whole.get("vision_config")
    if isinstance(inner, Mapping):
        described = {"model_type": f"{kind}_vision_model", **inner}
        described["projection_dim"] = whole.get("projection_dim", 512)
    vision_kind = str(described["model_type"])
    family = FAMILIES.get(vision_kind)
    if family is None:
        raise _unknown(folder, vision_kind, whole)
    if is_quantized(whole):
        raise ModelError(f"{folder.name}: its weights are quantized, which xmir does not read")
    config = _configure(folder, vision_kind, described)
    made_by = _made_by(whole)
    if made_by.endswith(("ForImageClassification", "WithTeacher")):
        return _pooled(folder, Vision(family, vision_kind, config, family.classified, made_by))
    two_towers = inner is not None and kind in PROJECTED
    projected = two_towers or made_by.endswith("WithProjection")
    size = int(config.projection_dim) if projected else None
    return _pooled(folder, Vision(family, vision_kind, config, family.native, made_by, size))


def _pooled(folder: Folder, vision: Vision) -> Vision:
    """The same, where the layer that pools may not be in the folder."""
    family, native = vision.family, vision.native
    if family.native == "pooler":
        with_pooler = native == "pooler" and _has_pooler(folder)
        native = "pooler" if with_pooler else "cls"
        return replace(vision, native=native, arguments={"add_pooling_layer": with_pooler})
    if vision.kind == MASKED:
        return replace(vision, projection=None, arguments={"add_pooling_layer": False})
    if native == "head" and not getattr(vision.config, "vision_use_head", True):
        return replace(vision, native="mean", projection=None)
    return vision


def _has_pooler(folder: Folder) -> bool:
    """Whether the folder has weights of the layer behind the class token; yes where it has none."""
    try:
        files = weights_files(folder)
    except ModelError:
        return True
    names = [
        name
        for file in files
        if folder.has(file)
        for name in read_tensors_header(folder.path / file)
    ]
    return any("pooler." in name for name in names)


def _made_by(config: Mapping[str, object]) -> str:
    """The class that wrote the folder."""
    names = config.get("architectures")
    return str(names[0]) if isinstance(names, list) and names else ""


def _unknown(folder: Folder, kind: str, config: Mapping[str, object]) -> ModelError:
    if "auto_map" in config:
        return ModelError(
            f"{folder.name}: its network, {kind}, is code that comes with it (auto_map), and xmir "
            "never runs such code",
            "If you trust it, build it in a file of your own: the manual page xmir-networks.",
        )
    return ModelError(
        f"{folder.name}: {kind} is no vision network that xmir can split",
        near_hint(kind, FAMILIES) or f"It knows {', '.join(FAMILIES)}.",
    )


def _configure(folder: Folder, kind: str, described: Mapping[str, object]) -> Any:  # noqa: ANN401 # transformers' own
    """The library's own description of the network, for pictures of three channels."""
    try:
        from transformers import CONFIG_MAPPING
    except ModuleNotFoundError:
        raise ModelError(
            f"{folder.name}: needs the package transformers", "pip install 'xmir[hf]'"
        ) from None
    settings = plain_settings(described)
    if settings.get("num_channels", 3) not in (1, 3):
        raise ModelError(f"{folder.name}: takes pictures of other than 1 or 3 channels")
    settings["num_channels"] = 3  # weights of one are spread over three
    settings["model_type"] = "vit" if kind == MASKED else kind
    try:
        return CONFIG_MAPPING[settings["model_type"]].from_dict(settings)
    except KeyError:
        raise ModelError(
            f"{folder.name}: the installed transformers does not know {kind}",
            "pip install --upgrade 'xmir[hf]'",
        ) from None
    except Exception as error:  # noqa: BLE001 # whatever its own checks make of odd values
        reason = reason_of(error)
        raise ModelError(f"{folder.name}: {CONFIG}: not understood ({reason})") from None


def refuse_oblong(name: str, vision: Vision) -> None:
    """Raise ModelError for a network whose patches or positions are for no squares."""
    patch, size = (getattr(vision.config, key, 0) for key in ("patch_size", "image_size"))
    if isinstance(patch, list | tuple) and len(set(patch)) > 1:
        raise ModelError(f"{name}: its patches of {_by(patch)} pixels are no squares")
    if isinstance(size, list | tuple) and len(set(size)) > 1 and not vision.family.any_shape:
        raise ModelError(f"{name}: is made for {_by(size)} pixels; xmir's pictures are squares")


def _by(sides: Sequence[object]) -> str:
    return " x ".join(map(str, sides))


def stride_of(vision: Vision) -> int:
    """Pixels from one place of its last map to the next."""
    config = vision.config
    if vision.family.map_norm:
        return 32
    patch = config.patch_size
    halvings = len(config.depths) - 1 if vision.family.stages else 0
    return int(patch[0] if isinstance(patch, list | tuple) else patch) << halvings


def side_of(vision: Vision) -> int | None:
    """Side of the pictures that it was made for; None where they are no squares, or of any size."""
    size = getattr(vision.config, "image_size", None)
    first, *others = size if isinstance(size, list | tuple) and size else [size]
    return int(first) if isinstance(first, int) and all(each == first for each in others) else None


def width_of(vision: Vision) -> int:
    """Channels of a token of its last map."""
    config = vision.config
    if vision.family.stages:
        return int(config.embed_dim) << (len(config.depths) - 1)
    return int(config.hidden_size)


def made_as(vision: Vision) -> str:
    """What of the description decides the embedding: what differs from the library's defaults."""
    settings = {
        key: value
        for key, value in vision.config.to_diff_dict().items()
        if key not in LEFT_OUT | _NO_PART
    }
    return json.dumps(
        [vision.kind, vision.native, vision.projection, settings], sort_keys=True, default=str
    )
