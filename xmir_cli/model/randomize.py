"""Blocks of a network given fresh weights, for the model-randomisation check.

Fresh weights are those of the network's own constructor under a seed, so each layer starts as its
authors meant it to; BatchNorm starts with weight 1, bias 0, mean 0 and variance 1.

Source: Adebayo et al., Sanity checks for saliency maps, NeurIPS 2018.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from torch import nn

from xmir_cli.errors import SettingError
from xmir_cli.model.embedder import Embedder
from xmir_cli.model.loader import load_network, whiten
from xmir_cli.model.network import Network
from xmir_cli.wire.model import ModelSpec

_MOST = 0.8  # a sequence with this share of the weights is taken apart


@dataclass(frozen=True)
class Block:
    """A part of the network that is randomised as one."""

    name: str
    tensors: tuple[str, ...]  # names in the network's state


@dataclass(frozen=True)
class Stage:
    """How far the randomisation has come."""

    name: str  # the block that is random now; `none` and `all` at the ends
    blocks: tuple[Block, ...]


def stages(network: Network, mode: str) -> list[Stage]:
    """The stages from the network as it is to the fully random one.

    `cascading` randomises one more block at a time from the output to the input, `independent` one
    at a time with all others as trained; `full` has no stage between.
    """
    parts = list_blocks(network)
    backwards = parts[::-1]
    between = {
        "full": [],
        "cascading": [
            Stage(block.name, tuple(backwards[: count + 1]))
            for count, block in enumerate(backwards[:-1])
        ],
        "independent": [Stage(block.name, (block,)) for block in backwards],
    }[mode]
    return [Stage("none", ()), *between, Stage("all", tuple(parts))]


def list_blocks(network: Network) -> list[Block]:
    """The blocks in the order of the data: dense blocks, stages, encoder layers, the head."""
    state = list(network.state_dict())
    found = [
        Block(name, tuple(key for key in state if key.startswith(prefixes)))
        for name, prefixes in _merged(list(_parts("features.", network.features)))
    ]
    head = Block("head", tuple(key for key in state if key.startswith("head.")))
    return [block for block in [*found, head] if block.tensors]


def load_fresh(spec: ModelSpec, seed: int) -> Network:
    """The same network with all weights as constructed under the seed.

    Raises SettingError for a seed that gives the network's own weights.
    """
    if spec.weights == f"random:{seed}":
        message = "the network has these weights already"
        raise SettingError("seeds", message, "Name another seed.", value=str(seed))
    network = load_network(replace(spec, weights=f"random:{seed}", weights_sha256=""))
    whiten(network, spec)
    return network


def randomize(trained: Embedder, donor: Network, stage: Stage) -> Embedder:
    """A copy of the embedder whose blocks of the stage are the donor's; the trained one stays."""
    network = copy.deepcopy(trained.network)
    state, fresh_state = network.state_dict(), donor.state_dict()
    for block in stage.blocks:
        for name in block.tensors:
            state[name] = fresh_state[name]
    network.load_state_dict(state)
    spec = replace(trained.spec, weights_sha256="")
    return Embedder(network, spec, trained.device, trained.precision, trained.batch)


@dataclass(frozen=True)
class _Part:
    prefix: str  # of the names of its tensors
    leaf: bool
    norm: bool

    @property
    def name(self) -> str:
        *outer, last = self.prefix.rstrip(".").split(".")
        return f"{outer[-1]}.{last}" if last.isdigit() else last


def _parts(prefix: str, module: nn.Module) -> Iterator[_Part]:
    """Children that have weights; what holds nearly all of them is taken apart further."""
    own = [name for name, _ in module.named_parameters(recurse=False)]
    yield from (_Part(f"{prefix}{name}", leaf=False, norm=False) for name in own)
    children = [(name, child) for name, child in module.named_children() if _size(child)]
    for name, child in children:
        place = f"{prefix}{name}."
        leaf = not list(child.children())
        apart = len(children) == 1 or _is_row(child)
        if not leaf and apart and _size(child) > _MOST * _size(module):
            yield from _parts(place, child)
        else:
            yield _Part(place, leaf, "Norm" in type(child).__name__)


def _is_row(module: nn.Module) -> bool:
    """Whether it only holds a row of parts: itself, or by the one thing in it."""
    inner = [child for child in module.children() if _size(child)]
    plain = isinstance(module, nn.Sequential | nn.ModuleList)
    return plain or (len(inner) == 1 and isinstance(inner[0], nn.ModuleList))


def _merged(parts: Sequence[_Part]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Names and prefixes; a normalisation right behind a single layer belongs to it."""
    groups: list[list[_Part]] = []
    for part in parts:
        if groups and part.norm and groups[-1][-1].leaf and not groups[-1][-1].norm:
            groups[-1].append(part)
        else:
            groups.append([part])
    for group in groups:
        yield "+".join(part.name for part in group), tuple(part.prefix for part in group)


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
