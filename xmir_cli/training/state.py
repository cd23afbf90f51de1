"""The state of a run between two batches: weights and Adam's moments by name."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim import Adam

from xmir_cli.errors import ModelError

_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


def take(network: nn.Module, optimizer: Adam) -> dict[str, Tensor]:
    """All tensors that decide what comes next: `network.NAME` and `adam.MOMENT.NAME`."""
    state = {f"network.{name}": value for name, value in network.state_dict().items()}
    for name, weight in network.named_parameters():
        for moment, value in optimizer.state.get(weight, {}).items():
            state[f"adam.{moment}.{name}"] = value
    return state


def restore(network: nn.Module, optimizer: Adam, state: Mapping[str, Tensor], where: str) -> None:
    """Put back what `take` gave; raises ModelError naming `where` when it does not fit."""
    own = network.state_dict()
    for name, value in own.items():
        found = state.get(f"network.{name}")
        if found is None or found.shape != value.shape:
            raise ModelError(f"{where}: {name}: not the state of this network")
        value.copy_(found)
    for name, weight in network.named_parameters():
        moments = {key: state.get(f"adam.{key}.{name}") for key in _MOMENTS}
        optimizer.state[weight] = {
            # in the memory layout of the weight; Adam keeps its step count on the CPU
            key: value if key == "step" else torch.zeros_like(weight).copy_(value)
            for key, value in moments.items()
            if value is not None
        }
