"""A file's tensors find their places in a network by name; everything else in it is accounted for.

What has no place must be no part of the network: a head, a text tower, an optimizer. It is named.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from xmir_cli.errors import ModelError
from xmir_cli.model.network import Adapt, Architecture, Network
from xmir_cli.model.prefixes import (
    ASKED,
    COUNTER,
    Fit,
    Needs,
    find_fit,
    first,
    try_adapt,
    wanted_by,
)

_SHOWN = 4  # names in a message; beyond, they are counted by what they begin with


@dataclass(frozen=True)
class Matched:
    """Tensors under the network's own names, and what was done to find them."""

    placed: dict[str, Tensor]
    notes: list[str]


def match(
    found: Mapping[str, Tensor],
    network: Network,
    architecture: Architecture,
    source: str,
    hint: str = ASKED,
) -> Matched:
    """The places of a file's tensors, by dotted names, in a network made of an architecture.

    Wrappers are parts of the names. Raises ModelError, which names `source`, when a tensor of the
    network is missing, when one of the trunk has no place, or when it is not clear which is meant.
    """
    own = network.state_dict()
    wanted = wanted_by(own, architecture)
    fit = find_fit(found, wanted, architecture.adapt, source, hint)
    state = _at_size(fit, wanted, architecture.adapt)
    if unplaced := wanted.unplaced(state):
        raise ModelError(
            f"{source}: {len(unplaced)} of its tensors have no place in the network "
            f"({first(unplaced)})",
            hint,
        )
    placed = {wanted.places[n]: tensor for n, tensor in state.items() if n in wanted.places}
    placed |= _place_heads(found, fit.prefix, {n: own[n] for n in own if n not in placed})
    apart = [f"{fit.prefix}{name}" for name in {**fit.state, **state} if name not in wanted.places]
    apart += [name for name in found if not name.startswith(fit.prefix)]
    notes = [
        *fit.notes,
        *_tell_resampled(fit.state, state, wanted),
        *_tell_dropped(apart, found, placed, fit.prefix),
        *_tell_new(own, placed),
    ]
    return Matched(placed, notes)


def _at_size(fit: Fit, wanted: Needs, adapt: Adapt | None) -> dict[str, Tensor]:
    """The tensors at the sizes of the network, as its library resamples them."""
    adapted = None if adapt is None or fit.adapted else try_adapt(adapt, fit.state)
    whole = adapted is not None and wanted.needed.keys() <= adapted.keys()
    return adapted if adapted is not None and whole else fit.state


def _place_heads(
    found: Mapping[str, Tensor], prefix: str, left: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The tensors of the network's own head: under its names, or x-mir's `fc.` of its size."""
    words = prefix.split(".")[:-1]
    above = ["".join(f"{word}." for word in words[:depth]) for depth in range(len(words) + 1)]
    placed = {}
    for place, own in left.items():
        for start in above:
            for name in (f"{start}{place}", f"{start}fc.{place.rpartition('.')[2]}"):
                if place.startswith("head.") and name in found and found[name].shape == own.shape:
                    placed[place] = found[name]
    return placed


def _tell_resampled(
    before: Mapping[str, Tensor], after: Mapping[str, Tensor], wanted: Needs
) -> list[str]:
    names = [name for name in wanted.needed if before[name].shape != after[name].shape]
    return [f"resampled to the sizes of the network: {first(names)}"] if names else []


def _tell_dropped(
    apart: Sequence[str], found: Mapping[str, Tensor], placed: Mapping[str, Tensor], prefix: str
) -> list[str]:
    used = {id(tensor) for tensor in placed.values()}
    dropped = [name for name in apart if name not in found or id(found[name]) not in used]
    if not dropped:
        return []
    groups = [_group(name, prefix) for name in dropped]
    many = [f"{group} ({groups.count(group)})" for group in dict.fromkeys(groups)]
    shown = sorted(dropped if len(dropped) <= _SHOWN else many)
    return [f"{len(dropped)} tensors without a place here dropped ({', '.join(shown)})"]


def _tell_new(own: Mapping[str, Tensor], placed: Mapping[str, Tensor]) -> list[str]:
    """Layers that were added to the network: no file has them."""
    names = [name for name in own if name not in placed and not name.endswith(COUNTER)]
    return [f"not in it, and as it was initialised: {first(names)}"] if names else []


def _group(name: str, prefix: str) -> str:
    """What a dropped name begins with, as far as that tells it from those that are kept."""
    if name.endswith(COUNTER):
        return COUNTER
    kept, words = prefix.split("."), name.split(".")
    same = 0
    while same < min(len(kept), len(words)) - 1 and kept[same] == words[same]:
        same += 1
    return ".".join(words[: same + 1])
