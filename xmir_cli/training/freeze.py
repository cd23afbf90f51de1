"""Parts of a network that training leaves as they are."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from torch import nn

from xmir_cli.errors import SettingError
from xmir_cli.model.network import Network
from xmir_cli.training.recipe import Settings

Frozen = dict[str, nn.Module | nn.Parameter]  # what stays as it is, by name
FIRST = 2  # half of the blocks
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def list_freezable(features: nn.Module) -> Iterator[nn.Module]:
    """The parts with weights in the order of the network; plain containers are opened."""
    children = list(features.children())
    for child in children:
        if len(children) == 1 or _is_container(child):
            yield from list_freezable(child)
        elif any(True for _ in child.parameters()):
            yield child


def _is_container(module: nn.Module) -> bool:
    """Whether it only holds a row of parts: itself, or by the one thing in it."""
    inner = list(module.children())
    plain = type(module) in {nn.Sequential, nn.ModuleList}
    return plain or (len(inner) == 1 and type(inner[0]) is nn.ModuleList)


def settle_freezing(settings: Settings, network: Network, learned: bool) -> Settings:
    """The settings with how many blocks are frozen where nobody has said it.

    Of weights that have learned from other images the first half; of random ones none, for those
    would never learn.
    """
    if settings.freeze_layers is not None:
        return settings
    blocks = sum(1 for _ in list_freezable(network.features))
    return replace(settings, freeze_layers=blocks // FIRST if learned else 0)


def frozen_parts(network: Network, settings: Settings) -> tuple[Frozen, Frozen]:
    """The first blocks of the features, and the batch norms, that settings freeze.

    With the first block weights that are no block's are frozen, too: class tokens and positions,
    which join the image before it.

    Raises SettingError when that many blocks are not there.
    """
    names = {module: name for name, module in network.named_modules()}
    found = list(list_freezable(network.features))
    layers = settings.freeze_layers or 0
    if layers > len(found):
        raise SettingError(
            "freeze_layers",
            f"the network has {len(found)} blocks, found {layers}",
            f"They are, in their order: {', '.join(names[part] for part in found)}.",
        )
    within = {id(weight) for part in found for weight in part.parameters()}
    loose = {
        f"features.{name}": weight
        for name, weight in network.features.named_parameters()
        if layers and id(weight) not in within
    }
    blocks: Frozen = {**loose, **{names[part]: part for part in found[:layers]}}
    norms = [part for part in network.modules() if isinstance(part, NORMS)]
    others = norms if settings.freeze_batchnorm else []
    return blocks, {names[part]: part for part in others if names[part] not in blocks}


def train_except(network: Network, frozen: Iterable[nn.Module | nn.Parameter]) -> None:
    """Put the network in training mode, its frozen parts in evaluation mode without gradients."""
    network.train()
    for part in frozen:
        part.requires_grad_(False)
        if isinstance(part, nn.Module):
            part.eval()
