"""The state of a run between two batches: weights and Adam's moments by name."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.optim import Adam

from xmir_cli.errors import ModelError

_MOMENTS = ("step", "exp_avg", "exp_avg_sq")

Trained = Mapping[str, nn.Module]  # what has weights that are trained: `network`, and its objective


def take(parts: Trained, optimizer: Adam) -> dict[str, Tensor]:
    """All tensors that decide what comes next: `PART.NAME` and `adam.MOMENT.NAME`."""
    state = {
        f"{part}.{name}": value
        for part, module in parts.items()
        for name, value in module.state_dict().items()
    }
    for name, weight in _weights(parts):
        for moment, value in optimizer.state.get(weight, {}).items():
            state[f"adam.{moment}.{name}"] = value
    return state


def restore(parts: Trained, optimizer: Adam, state: Mapping[str, Tensor], where: str) -> None:
    """Put back what `take` gave; raises ModelError naming `where` when it does not fit."""
    for part, module in parts.items():
        for name, value in module.state_dict().items():
            found = state.get(f"{part}.{name}")
            if found is None or found.shape != value.shape:
                raise ModelError(f"{where}: {name}: not the state of this network")
            value.copy_(found)
    for name, weight in _weights(parts):
        moments = {key: state.get(f"adam.{key}.{name}") for key in _MOMENTS}
        optimizer.state[weight] = {
            # in the memory layout of the weight; Adam keeps its step count on the CPU
            key: value if key == "step" else torch.zeros_like(weight).copy_(value)
            for key, value in moments.items()
            if value is not None
        }


def _weights(parts: Trained) -> Iterator[tuple[str, Tensor]]:
    """Those of the network by their own names, others with that of their part."""
    for part, module in parts.items():
        for name, weight in module.named_parameters():
            yield (name if part == "network" else f"{part}.{name}"), weight
