"""Checkpoint layouts, theirs and ours, into a Network; nothing is ever unpickled.

Layouts: those of the libraries, under any prefix and in any wrapper; CheXNet's model.pth.tar (dots
inside layer names); x-mir (`densenet121.0.`, head `fc.`); TorchXRayVision state dicts (one input
channel); and xmir's own safetensors with the ModelSpec in its header.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from xmir_cli.errors import ModelError
from xmir_cli.model.matching import match
from xmir_cli.model.network import Architecture, Network
from xmir_cli.model.prefixes import COUNTER, is_grey
from xmir_cli.model.torch_files import read_torch
from xmir_cli.store.checkpoint import read_tensors, read_tensors_header
from xmir_cli.store.vectors_there import ADAPTER
from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.strict import parse_json

_CHEXNET = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12])\.")
_X_MIR = re.compile(r"(^|\.)densenet121\.0\.")
_GREY = (
    "one input channel spread over three, exact for grey images; TorchXRayVision's weights also "
    "need `mean` 0.5 and `std` 0.00048828125, and see the whole square: `resize` as large as "
    "`input_size`"
)
_ITS_OWN = "Its description and its weights do not agree: are both of one network?"


def hash_weights(network: nn.Module) -> str:
    """SHA-256 over the names, types, shapes and values of a network's tensors, in name order.

    What a folder's description makes of them is part of it.
    """
    return hash_tensors(network.state_dict(), str(vars(network).get("made_as", "")))


def hash_tensors(tensors: Mapping[str, Tensor], made_as: str) -> str:
    """SHA-256 over what makes something of tensors, and over them, in name order."""
    total = hashlib.sha256(made_as.encode())
    for name, tensor in sorted(tensors.items()):
        if not name.endswith(COUNTER):
            plain = tensor.detach().cpu().contiguous()
            total.update(f"{name} {plain.dtype} {tuple(plain.shape)}\n".encode())
            total.update(plain.reshape(-1).view(torch.uint8).numpy().data)
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


def fill(network: Network, architecture: Architecture, path: str) -> list[str]:
    """Load the checkpoint `path` into `network` and say what was renamed, changed and dropped.

    Raises ModelError when a tensor of the network is missing, does not fit or holds NaN, and when
    one of the file's trunk has no place.
    """
    file = Path(path)
    recorded = read_recorded_spec(path)
    if recorded is not None:
        hint = f"It was made with `architecture` {recorded.architecture}, its code as it was then."
        _assign(network, _own_tensors(network, read_tensors(file)[0], path, hint), path, hint)
        return []
    found = read_tensors(file)[0] if _is_safetensors(file) else read_torch(file)
    renamed = {_library_name(name): tensor for name, tensor in found.items()}
    notes = []
    if changed := sum(name not in found for name in renamed):
        notes.append(f"{changed} of {len(found)} tensors renamed to the library's names")
    matched = match(renamed, network, architecture, path)
    return [*notes, *matched.notes, *_assign(network, matched.placed, path)]


def fill_with(
    network: Network, architecture: Architecture, state: Mapping[str, Tensor], source: str
) -> list[str]:
    """Load a library's own tensors and say what was changed and dropped.

    Raises ModelError when they are not the network's.
    """
    matched = match(state, network, architecture, source, _ITS_OWN)
    return [*matched.notes, *_assign(network, matched.placed, source)]


def _is_safetensors(file: Path) -> bool:
    with file.open("rb") as opened:
        start = opened.read(9)
    return start[8:] == b"{"


def _library_name(name: str) -> str:
    """CheXNet's and x-mir's names for layers of DenseNet as the library names them."""
    return _CHEXNET.sub(r"\1\2.", _X_MIR.sub(r"\1densenet121.features.", name))


def _own_tensors(
    network: Network, found: Mapping[str, Tensor], path: str, hint: str
) -> Mapping[str, Tensor]:
    """Those of one of xmir's checkpoints, which has all of its network's and no others."""
    wanted = network.state_dict().keys()
    missing = [name for name in wanted if name not in found and not name.endswith(COUNTER)]
    others = [name for name in found if name not in wanted and name != ADAPTER]
    for names, what in ((missing, "of the network are missing"), (others, "have no place in it")):
        if names:
            shown = ", ".join(names[:3])
            message = f"{path}: {len(names)} of {len(wanted)} tensors {what} ({shown} ...)"
            raise ModelError(message, hint)
    return {name: tensor for name, tensor in found.items() if name in wanted}


def _assign(
    network: Network, tensors: Mapping[str, Tensor], source: str, hint: str = ""
) -> list[str]:
    """Put the tensors into the network; the others stay. What was changed is said."""
    wanted, notes = network.state_dict(), []
    fitting = {}
    for name, given in tensors.items():
        own, tensor = wanted[name], given
        _refuse_odd(tensor, own, f"{source}: {name}")
        if is_grey(tensor, own):
            tensor = tensor.expand_as(own) / 3
            notes.append(f"{name}: {_GREY}")
        if tensor.shape != own.shape:
            expected, actual = tuple(own.shape), tuple(tensor.shape)
            raise ModelError(f"{source}: {name}: expected shape {expected}, found {actual}", hint)
        # of the network's own shape by now: a stride of 0 makes any other from a single number
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor.to(own.dtype)).all()):
            raise ModelError(f"{source}: {name}: holds NaN or infinity")
        fitting[name] = tensor
    network.load_state_dict({**wanted, **fitting})
    return notes


def _refuse_odd(tensor: Tensor, own: Tensor, where: str) -> None:
    """Raise ModelError for what is not plain numbers of the kind that the network has."""
    if tensor.layout != torch.strided or tensor.is_complex() or tensor.is_quantized:
        raise ModelError(f"{where}: expected plain real numbers")
    if own.is_floating_point() and not tensor.is_floating_point():
        raise ModelError(f"{where}: expected floating-point numbers, found {tensor.dtype}")
