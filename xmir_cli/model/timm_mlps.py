"""The MLPs of timm's transformers: which a folder names, and which its tensors alone tell."""

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import torch
from torch import nn

from xmir_cli.errors import ModelError
from xmir_cli.model.folders import CONFIG, Folder
from xmir_cli.model.shards import weights_files
from xmir_cli.store.checkpoint import read_tensors_header

_MLPS = ("Mlp", "GluMlp", "GatedMlp", "SwiGLU", "SwiGLUPacked")  # of timm's layers
PACKED = {"mlp_layer": "SwiGLUPacked", "act_layer": "silu"}
TAKEN = "taken are timm's SwiGLUPacked and SiLU"


def find_layers(name: str, arguments: Mapping[str, object]) -> dict[str, object]:
    """The kind of MLPs that is named among the arguments; raises ModelError for no such kind."""
    if (kind := arguments.get("mlp_layer")) is None:
        return {}
    if kind not in _MLPS:
        expected = f"expected {', '.join(_MLPS)}"
        raise ModelError(f"{name}: {CONFIG}: model_args: mlp_layer: {expected}")
    try:
        from timm import layers
    except ModuleNotFoundError:  # told where the network is built
        return {}
    return {"mlp_layer": getattr(layers, str(kind))}


def is_packed(
    folder: Folder, weights: Sequence[str], network: str, arguments: Mapping[str, object]
) -> bool:
    """Whether its tensors are of MLPs with a gate beside each value, and the network's are not.

    Folders of Virchow, Virchow2 and UNI2 are so: what is to be passed is in their words alone.
    """
    try:
        files = weights_files(folder, weights)
        headers = [read_tensors_header(folder.path / file) for file in files]
        shapes = {key: entry for header in headers for key, entry in header.items()}
        wide, narrow = (
            cast("Mapping[str, list[int]]", shapes[f"blocks.0.mlp.{layer}.weight"])["shape"]
            for layer in ("fc1", "fc2")
        )
        if wide[0] != 2 * narrow[1]:
            return False
        import timm

        build: Callable[..., nn.Module] = timm.create_model
        with torch.device("meta"):
            own = build(network, pretrained=False, **{**arguments, "num_classes": 0})
        return bool(own.state_dict()["blocks.0.mlp.fc2.weight"].shape[1] != narrow[1])
    except Exception:  # noqa: BLE001 # another network, no weights: told where they are read
        return False
