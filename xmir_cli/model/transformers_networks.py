"""Folders that transformers wrote (extra `hf`): the vision network in them."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from xmir_cli.errors import ModelError, SettingError, reason_of
from xmir_cli.model.folders import open_folder
from xmir_cli.model.network import Architecture
from xmir_cli.model.prefixes import is_grey
from xmir_cli.model.recipes import tell
from xmir_cli.model.shards import read_folder_tensors
from xmir_cli.model.transformers_configs import (
    Vision,
    describe,
    made_as,
    refuse_oblong,
    side_of,
    stride_of,
    width_of,
)
from xmir_cli.model.transformers_heads import (
    LibraryHead,
    MapFeatures,
    PatchFeatures,
    TokenFeatures,
)
from xmir_cli.model.transformers_quiet import quiet
from xmir_cli.model.transformers_recipes import find_unsaid, read_recipe

_RENAMED = torch.empty(0)  # stands for a tensor that the library renamed and found no place for
# of what a task adds to the trunk
_OF_TASKS = {
    "": ("classifier.", "cls_classifier.", "distillation_classifier.", "hidden_states_norms."),
    "ForMaskedImageModeling": ("lm_head.", "layernorm.", "decoder."),
    "ForPreTraining": ("decoder.",),
    "ForSemanticSegmentation": ("decode_head.", "auxiliary_head.", "fpn1.", "fpn2.", "fpn3."),
}
_MASK = "embeddings.mask_token"  # stands for patches that are hidden: none here
# of the text tower, which words load by themselves
_OF_TEXTS = ("text_model.", "text_projection.", "logit_scale", "logit_bias")


def build(name: str, input_size: int | None) -> Architecture:
    """The vision network of a folder; raises ModelError, or SettingError for `input_size`."""
    folder = open_folder(name)
    vision = describe(folder)
    refuse_oblong(name, vision)
    recipe, file, odd = read_recipe(folder, vision)
    size, stride = input_size or recipe.input_size, stride_of(vision)
    if size != recipe.input_size and size % stride:
        found = f"expected a multiple of its patches, {stride}, found {size}"
        raise SettingError("input_size", found, value=str(size))
    if size % stride:
        untiled = f"{size} pixels are no multiple of its patches, {stride}"
        odd = (*odd, f"{untiled}: maps lie off by fewer pixels than these")
    try:
        model: nn.Module = _trunk(vision)(copy.deepcopy(vision.config), **vision.arguments)
        built = _split(vision, model, size)
    except ModelError:  # a description of too large a network
        raise
    except Exception as error:  # noqa: BLE001 # what a constructor makes of odd numbers
        raise ModelError(
            f"{name}: transformers cannot build it ({reason_of(error, 160)})"
        ) from None
    built = replace(
        built,
        preprocessing=recipe,
        classifiers=_apart(vision, model),
        adapt=partial(_convert, vision),
        made_as=made_as(vision),
    )
    return tell(built, name, file, odd, find_unsaid(folder))


def _apart(vision: Vision, model: nn.Module) -> tuple[str, ...]:
    """How the names of tensors begin that have no part in the trunk."""
    tasks = [names for task, names in _OF_TASKS.items() if vision.made_by.endswith(task)]
    under = str(getattr(model, "base_model_prefix", ""))
    return (*chain.from_iterable(tasks), _MASK, f"{under}.{_MASK}")


def pretrained(name: str) -> Mapping[str, Tensor]:
    """The tensors of a folder, by the names of the vision network's trunk; raises ModelError."""
    folder = open_folder(name)
    state = read_folder_tensors(folder)
    try:
        return _convert(describe(folder), state)
    except Exception as error:  # noqa: BLE001 # the library's code on tensors of any shape
        raise ModelError(
            f"{name}: its tensors are not those of its network ({reason_of(error, 160)})"
        ) from None


def _trunk(vision: Vision) -> Any:  # noqa: ANN401 # a class of transformers
    """The class of the vision network, without what a task adds."""
    import transformers

    return getattr(transformers, vision.family.model)


def _split(vision: Vision, model: nn.Module, size: int) -> Architecture:
    """The network as features and head, for images of so many pixels."""
    family, config = vision.family, vision.config
    if family.map_norm:
        norm = model.get_submodule(family.map_norm)
        assert isinstance(norm, nn.LayerNorm)
        return Architecture(
            MapFeatures(model, family.map_norm, stride_of(vision)),
            norm.normalized_shape[0],
            after=(norm,),
            names=((f"{family.map_norm}.", "head.after.0."), ("", "features.model.")),
        )
    registers = getattr(config, "num_register_tokens", 0)
    prefixes = family.prefixes + registers if family.prefixes else 0
    features: TokenFeatures | PatchFeatures
    if family.patches:
        features = PatchFeatures(model, config.patch_size)
    else:
        resample = family.interpolates and size != side_of(vision)
        features = TokenFeatures(model, prefixes, stride_of(vision), resample)
    width = width_of(vision)
    if not prefixes and vision.native == "mean":
        return Architecture(features, width, names=(("", "features.model."),))
    projection = None
    if vision.projection is not None:
        projection = nn.Linear(width, vision.projection, bias=False)
    head = LibraryHead(features, width, vision.native, family.norm, projection)
    channels = vision.projection or width * len(vision.native.split("+"))
    names = (("visual_projection.", "head.projection."), ("", "features.model."))
    return Architecture(features, channels, head=head, names=names)


def _convert(vision: Vision, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The tensors as the library itself renames them for its trunk; others keep their names.

    Those of a text tower are left out.
    """
    with quiet():
        model, told = _trunk(vision).from_pretrained(
            None,
            config=copy.deepcopy(vision.config),
            state_dict=dict(state),
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # told below
            dtype=torch.float32,
            **vision.arguments,
        )
    missing = told["missing_keys"]
    found = {name: tensor for name, tensor in model.state_dict().items() if name not in missing}
    for key, given, own in told["mismatched_keys"]:
        same = [tensor for tensor in state.values() if tensor.shape == given]
        if len(same) != 1 or not is_grey(same[0], found[key]):
            raise ValueError(f"{key}: expected shape {tuple(own)}, found {tuple(given)}")
        found[key] = same[0]  # of one channel: spread when it is put into its place
    apart = [name for name in told["unexpected_keys"] if not name.startswith(_OF_TEXTS)]
    return found | {name: state.get(name, _RENAMED) for name in apart}
