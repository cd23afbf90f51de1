"""A linear head that was trained on stored vectors: joined to its network, applied to vectors.

It has no constant. So the head of a network's raw embedding has the direction of the head of the
unit embedding, which is what is stored: both ways give the same unit vector, but for rounding.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from xmir_cli.errors import ModelError
from xmir_cli.model.embedder import unit
from xmir_cli.model.loader import load_network
from xmir_cli.model.network import Network
from xmir_cli.model.weights import read_recorded_spec
from xmir_cli.store.checkpoint import read_tensors
from xmir_cli.store.runs import CHECKPOINT, read_run
from xmir_cli.store.vectors_there import ADAPTER
from xmir_cli.wire.model import ModelSpec

_ROWS = 8192  # turned at once


@dataclass(frozen=True)
class Adapter:
    """A head [d, D] for unit vectors [D] of the model `base`; with it they are those of `spec`."""

    weight: Tensor
    base: ModelSpec
    spec: ModelSpec

    def apply(self, vectors: np.ndarray) -> np.ndarray:
        """Unit vectors [n, d], float32, of unit vectors [n, D]; zero stays zero."""
        wide = self.weight.double()
        made = np.empty((len(vectors), len(wide)), np.float32)
        for start in range(0, len(vectors), _ROWS):
            part = torch.from_numpy(vectors[start : start + _ROWS].astype(np.float64))
            made[start : start + _ROWS] = unit(part @ wide.T).numpy()
        return made


def read_adapter(path: str) -> Adapter:
    """The head in a checkpoint that has one; raises ModelError where it is damaged."""
    file, spec = Path(path), read_recorded_spec(path)
    run, tensors = read_run(file, CHECKPOINT), read_tensors(file)[0]
    if spec is None or ADAPTER not in tensors:
        raise ModelError(f"{path}: no head that was trained on stored vectors")
    return Adapter(tensors[ADAPTER], ModelSpec.from_json(run.asked.get("start"), path), spec)


def join(base: Network, spec: ModelSpec, weight: Tensor) -> Network:
    """A network with `weight` [d, D] behind its raw embeddings [D]; `spec` is that of `base`.

    A linear head that it has already becomes one with the new one.
    """
    dim = len(weight)
    joined = load_network(replace(spec, weights="random:0", head=dim, weights_sha256=""))
    with torch.no_grad():
        last = _last_linear(joined)
        wide, constant = weight.double(), torch.zeros(dim, dtype=torch.float64)
        if spec.head is not None:
            own = _last_linear(base)
            constant = wide @ own.bias.double()
            wide = wide @ own.weight.double()
        for place, given in zip(_parts(joined), _parts(base), strict=True):
            state = given.state_dict()
            for name, value in place.state_dict().items():
                if name in state and state[name].shape == value.shape:
                    value.copy_(state[name])
        last.weight.copy_(wide)
        last.bias.copy_(constant)
    return joined.eval()


def _parts(network: Network) -> tuple[nn.Module, nn.Module]:
    """What the architecture itself has made."""
    return network.features, network.own_head


def _last_linear(network: Network) -> nn.Linear:
    """The linear head behind a network."""
    found = [layer for layer in network.head.modules() if isinstance(layer, nn.Linear)][-1]
    assert found.out_features == network.dim
    return found
