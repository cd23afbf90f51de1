"""Checkpoint layouts, theirs and ours, into a Network; nothing is ever unpickled.

Layouts: torchvision; CheXNet's model.pth.tar (dots inside layer names, `module.densenet121.`);
x-mir (`densenet121.0.`, head `fc.`); TorchXRayVision state dicts (one input channel); timm; and
xmir's own safetensors with the ModelSpec in its header.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from xmir_cli.errors import ModelError
from xmir_cli.model.network import Network
from xmir_cli.model.torch_files import read_torch
from xmir_cli.store.checkpoint import read_tensors, read_tensors_header
from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.strict import parse_json

_COUNTER = "num_batches_tracked"  # BatchNorm's counter, no weight
_CHEXNET = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12])\.")


def hash_weights(network: nn.Module) -> str:
    """SHA-256 over the names, types, shapes and values of a network's tensors, in name order."""
    total = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        if not name.endswith(_COUNTER):
            plain = tensor.detach().cpu().contiguous()
            total.update(f"{name} {plain.dtype} {tuple(plain.shape)}\n".encode())
            total.update(plain.reshape(-1).view(torch.uint8).numpy())
    return total.hexdigest()


def read_recorded_spec(path: str) -> ModelSpec | None:
    """The ModelSpec in the header of one of xmir's own checkpoints, None for a foreign file.

    Its weights are the file, wherever that lies now.
    """
    file = Path(path)
    if not file.is_file():
        raise ModelError(f"{path}: no such checkpoint")
    if not _is_safetensors(file):
        return None
    metadata = read_tensors_header(file).get("__metadata__")
    if not isinstance(metadata, Mapping) or "xmir.model" not in metadata:
        return None
    try:
        data: object = parse_json(str(metadata["xmir.model"]))
    except ValueError:
        raise ModelError(f"{path}: damaged checkpoint: its description is no JSON") from None
    return replace(ModelSpec.from_json(data, path), weights=str(file.resolve()))


def fill(network: Network, names: tuple[tuple[str, str], ...], path: str) -> list[str]:
    """Load the checkpoint `path` into `network` and say what was renamed, changed and dropped.

    `names` are an architecture's prefixes: library name -> place in the network. Raises ModelError
    when a tensor of the features is missing, does not fit or holds NaN.
    """
    file = Path(path)
    if read_recorded_spec(path) is not None:
        _assign(network, read_tensors(file)[0], path)
        return []
    found = read_tensors(file)[0] if _is_safetensors(file) else read_torch(file)
    found, notes = _library_names(found)
    placed, dropped = _place(found, network, names)
    if dropped:
        shown = ", ".join(sorted(dropped)[:3])
        notes.append(f"{len(dropped)} tensors without a place here dropped ({shown} ...)")
    _assign(network, placed, path, optional="head.")
    return notes


def fill_with(
    network: Network, names: tuple[tuple[str, str], ...], state: Mapping[str, Tensor], source: str
) -> None:
    """Load a library's own tensors; raises ModelError when one of the features is missing."""
    _assign(network, _place(state, network, names)[0], source, optional="head.")


def _is_safetensors(file: Path) -> bool:
    with file.open("rb") as opened:
        start = opened.read(9)
    return start[8:] == b"{"


def _library_names(found: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Foreign layouts under the names that the libraries use, and what was done."""
    renamed: dict[str, Tensor] = {}
    for name, tensor in found.items():
        plain = name.removeprefix("module.")
        if plain.startswith("densenet121.0."):
            plain = f"features.{plain.removeprefix('densenet121.0.')}"
        plain = _CHEXNET.sub(r"\1\2.", plain.removeprefix("densenet121."))
        renamed[plain] = tensor
    notes = []
    changed = sum(old != new for old, new in zip(found, renamed, strict=True))
    if changed:
        notes.append(f"{changed} of {len(found)} tensors renamed to the library's names")
    for name, tensor in renamed.items():
        if tensor.ndim == 4 and tensor.shape[1] == 1 and name in _FIRST_CONVOLUTIONS:
            renamed[name] = tensor.expand(-1, 3, -1, -1) / 3
            notes.append(
                f"{name}: one input channel spread over three, exact for grey images; "
                "TorchXRayVision weights also need a mean of 0.5, a deviation of 0.00048828125"
            )
    return renamed, notes


_FIRST_CONVOLUTIONS = {"features.conv0.weight", "conv1.weight", "features.0.0.weight"}


def _place(
    found: Mapping[str, Tensor], network: Network, names: tuple[tuple[str, str], ...]
) -> tuple[dict[str, Tensor], list[str]]:
    """Tensors under the network's own names; those without a place are given back by name."""
    wanted = network.state_dict()
    placed, dropped = {}, []
    for name, tensor in found.items():
        place = _head_place(name, tensor, wanted) or _rename(name, names)
        if place in wanted:
            placed[place] = tensor
        elif not name.endswith(_COUNTER):
            dropped.append(name)
    return placed, dropped


def _rename(name: str, names: tuple[tuple[str, str], ...]) -> str:
    """The first prefix that fits decides; a vision transformer's blocks keep their number."""
    for old, new in names:
        if name.startswith(old):
            return f"{new}{name.removeprefix(old)}"
    return name


def _head_place(name: str, tensor: Tensor, wanted: Mapping[str, Tensor]) -> str | None:
    """x-mir's `fc.` is the head when it has the size of ours."""
    if name in {"fc.weight", "fc.bias"}:
        for place, own in wanted.items():
            if place.startswith("head.") and place.endswith(name[2:]) and own.shape == tensor.shape:
                return place
    return None


def _assign(
    network: Network, tensors: Mapping[str, Tensor], source: str, optional: str | None = None
) -> None:
    """Put the tensors into the network; only those under the prefix `optional` may be missing."""
    wanted = network.state_dict()
    missing = [
        name
        for name in wanted
        if name not in tensors
        and not name.endswith(_COUNTER)
        and not (optional is not None and name.startswith(optional))
    ]
    if missing:
        raise ModelError(
            f"{source}: {len(missing)} of {len(wanted)} tensors of the network are missing "
            f"({', '.join(missing[:3])} ...)",
            "Is `architecture` the network that the file was made for?",
        )
    for name, tensor in tensors.items():
        if tensor.shape != wanted[name].shape:
            expected, actual = tuple(wanted[name].shape), tuple(tensor.shape)
            raise ModelError(f"{source}: {name}: expected shape {expected}, found {actual}")
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ModelError(f"{source}: {name}: holds NaN or infinity")
    network.load_state_dict({**wanted, **tensors})
