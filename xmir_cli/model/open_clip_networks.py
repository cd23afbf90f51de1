"""The image towers of open_clip's folders (extra `clip`): CLIP, CoCa, SigLIP, BiomedCLIP.

A tower is a transformer of open_clip's own (class token, mean, attentional pooling), a ResNet with
an attention pooling, or a network of timm with a projection. The text tower is not built here.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from xmir_cli.errors import ModelError, SettingError, reason_of
from xmir_cli.model.folders import OPEN_CLIP_CONFIG, Folder, open_folder
from xmir_cli.model.network import Adapt, Architecture, Network
from xmir_cli.model.open_clip_folder import (
    WEIGHTS,
    TowerDescription,
    missing_package,
    read_description,
)
from xmir_cli.model.open_clip_heads import AttentionPool, Pooled, Projected, ProjectedTokens, Tokens
from xmir_cli.model.pooling import TokenHead
from xmir_cli.model.recipes import tell
from xmir_cli.model.shards import read_folder_tensors
from xmir_cli.model.timm_heads import TimmFeatures, timm_head
from xmir_cli.model.timm_networks import find_adapt
from xmir_cli.workarounds.open_clip import build_vision_tower

if TYPE_CHECKING:
    from open_clip.modified_resnet import ModifiedResNet
    from open_clip.timm_model import TimmModel
    from open_clip.transformer import VisionTransformer

_TRUNK = "visual.trunk."  # and of those that are timm's
_LONGEST = "the shorter side of a picture may be a pixel less here than open_clip makes it"
_VISUAL = "visual."  # how the names of the image tower's tensors begin


def build(name: str, input_size: int | None) -> Architecture:
    """The image tower of a folder; raises ModelError where it or open_clip is not there."""
    folder = open_folder(name)
    described = read_description(folder)
    size = input_size or described.recipe.input_size
    visual = _build_tower(folder, described, size)
    try:
        split = _split(visual, described, size)
        _try(split, size)
    except ModelError:  # a description of too large a network
        raise
    except Exception as error:  # noqa: BLE001 # a network of any shape fails in its own way
        other = size if size != described.recipe.input_size else None
        raise _unusable(name, error, other) from None
    odd = (_LONGEST,) if described.recipe.view == "pad" else ()
    split = replace(split, made_as=described.vision_made_as)
    return tell(split, name, OPEN_CLIP_CONFIG, odd, described.unsaid)


def pretrained(name: str) -> Mapping[str, Tensor]:
    """The tensors of a folder's image tower; raises ModelError for a folder without them."""
    found = read_folder_tensors(open_folder(name), WEIGHTS)
    return {key: tensor for key, tensor in found.items() if key.startswith(_VISUAL)}


def _build_tower(folder: Folder, described: TowerDescription, size: int) -> nn.Module:
    """The tower with random weights; nothing is fetched for it."""
    timm_name = str(described.vision.get("timm_model_name") or "")
    if ":" in timm_name or "/" in timm_name:
        raise ModelError(f"{folder.name}: {timm_name}: expected the name of a network of timm")
    own: dict[str, object] = {"timm_model_pretrained": False, "output_tokens": False}
    own |= {"patch_dropout": 0.0} if timm_name else {"patch_dropout": 0.0, "image_size": size}
    try:
        if isinstance(described.vision.get("layers"), list) and size != described.recipe.input_size:
            raise ValueError(f"its attention pooling is for {described.recipe.input_size} pixels")
        settings = {**described.vision, **own}
        visual = build_vision_tower(described.dim, settings, described.quick_gelu)
        if timm_name and size != described.recipe.input_size:
            cast("TimmModel", visual).set_input_size(size)
    except ModuleNotFoundError as error:
        raise missing_package(folder.name, error) from None
    except ModelError:  # a description of too large a network
        raise
    except Exception as error:  # noqa: BLE001 # whatever open_clip makes of the settings
        other = size if size != described.recipe.input_size else None
        raise _unusable(folder.name, error, other) from None
    return visual


def _try(architecture: Architecture, size: int) -> None:
    """Pass an image, so that a tower that cannot is known before its weights are read."""
    network = Network(architecture, None).eval()
    with torch.no_grad():
        found = network(torch.zeros(1, 3, size, size))
    network.train()
    if found.shape != (1, architecture.channels):
        raise ValueError(f"expected an embedding [1, {architecture.channels}]")


def _unusable(name: str, error: Exception, input_size: int | None) -> SettingError:
    """What to say of a tower that cannot be used, or not for so many pixels."""
    reason = reason_of(error)
    if input_size is None:
        message = f"open_clip cannot build what this folder describes ({reason})"
        return SettingError("architecture", message, value=name)
    return SettingError("input_size", f"{name} does not take it ({reason})", value=str(input_size))


def _split(visual: nn.Module, described: TowerDescription, size: int) -> Architecture:
    """The tower as features and head, whichever of the three kinds it is."""
    if described.vision.get("timm_model_name"):
        return _of_timm(cast("TimmModel", visual), described, size)
    if isinstance(described.vision.get("layers"), list):
        resnet = cast("ModifiedResNet", visual)
        head, features = AttentionPool(resnet.attnpool), cast("nn.Module", resnet)
        resnet.attnpool = nn.Identity()
        names = (("visual.attnpool.", "head.pooling."), (_VISUAL, "features."))
        return Architecture(features, described.dim, described.recipe, head=head, names=names)
    tower = cast("VisionTransformer", visual)
    return Architecture(
        Tokens(tower),
        described.dim,
        described.recipe,
        head=Pooled(tower),
        names=((_VISUAL, "features.visual."),),
        adapt=_resizing(tower),
    )


def _of_timm(tower: "TimmModel", described: TowerDescription, size: int) -> Architecture:
    """A network of timm and its projection, which is an affine step behind plain averaging."""
    features = TimmFeatures(tower.trunk)
    inner, last = timm_head(features, size), tower.trunk.get_classifier()
    names: tuple[tuple[str, str], ...] = ((_TRUNK, "features.model."),)
    projection = [each for each in tower.head if not isinstance(each, nn.Dropout)]
    affine = isinstance(last, nn.Identity) and all(isinstance(x, nn.Linear) for x in projection)
    if inner.plain_average and affine:
        names += (("visual.head.proj.", "head.after.0."),)
        after = tuple(projection)
        return Architecture(features, described.dim, described.recipe, after=after, names=names)
    adapt = _of_trunk(str(described.vision["timm_model_name"]), tower.trunk)
    names += (("visual.head.", "head.projection."),)
    head = (
        ProjectedTokens(inner, last, tower.head)
        if isinstance(inner, TokenHead)
        else Projected(inner, last, tower.head)
    )
    return Architecture(
        features, described.dim, described.recipe, head=head, names=names, adapt=adapt
    )


def _of_trunk(name: str, trunk: nn.Module) -> Adapt | None:
    """The library's own way from the tensors of another input size to those of its network."""
    convert = find_adapt(name, trunk)
    if convert is None:
        return None

    def adapt(state: dict[str, Tensor]) -> Mapping[str, Tensor]:
        own = {key.removeprefix(_TRUNK): x for key, x in state.items() if key.startswith(_TRUNK)}
        others = {key: tensor for key, tensor in state.items() if not key.startswith(_TRUNK)}
        return {**others, **{f"{_TRUNK}{key}": tensor for key, tensor in convert(own).items()}}

    return adapt


def _resizing(visual: "VisionTransformer") -> Adapt:
    """open_clip's own way from the positions of another input size to those of this one."""

    def adapt(state: dict[str, Tensor]) -> Mapping[str, Tensor]:
        from open_clip.model import resize_pos_embed

        resize_pos_embed(state, SimpleNamespace(visual=visual))
        return state

    return adapt
