"""Under which prefix of a file's names a network lies.

A network is described by the names that its library gives its tensors. All of them must be found
under one prefix. A wrapper, such as `state_dict`, is the first word of a prefix.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from xmir_cli.errors import ModelError
from xmir_cli.model.network import Adapt, Architecture

COUNTER = "num_batches_tracked"  # BatchNorm's counter, no weight
_APART = {  # first words of names that are no part of a network's trunk
    *("fc", "classifier", "classifiers", "head", "heads", "last_linear", "logits", "mlp_head"),
    *("aux", "aux_head", "aux_classifier", "auxlogits", "head_dist", "op_threshs", "mask_token"),
    *("projector", "projection_head", "proj_head", "predictor", "prototypes", "queue", "queue_ptr"),
    *("criterion", "loss", "scaler", "scheduler", "lr_scheduler", "optim", "optimizer"),
    *("optimizers", "optimizer_states", "logit_scale", "logit_bias", "token_embedding"),
    *("text", "text_model", "text_encoder", "text_projection", "decoder"),
}
ASKED = "Is `architecture` the network that the file was made for?"
_AVERAGED = {"ema", "swa", "teacher", "averaged"}  # words of wrappers' names that come first
_BEHIND = {"student", "momentum", "target", "k", "key"}  # and last


@dataclass(frozen=True)
class Needs:
    """What a network needs, by its library's names."""

    places: Mapping[str, str]  # in the network
    needed: Mapping[str, Tensor]  # what is there now
    classifiers: tuple[str, ...]  # prefixes

    def unplaced(self, state: Mapping[str, Tensor]) -> list[str]:
        """The names without a place that are none of a head, a text tower, an optimizer ..."""
        apart = _APART - {name.partition(".")[0].lower() for name in self.places}
        return [
            name
            for name in state
            if name not in self.places
            and not name.endswith(COUNTER)
            and not name.startswith(self.classifiers)
            and name.partition(".")[0].lower() not in apart
        ]


@dataclass(frozen=True)
class Fit:
    """The tensors under a prefix, by the library's names, and what is to be said of it."""

    prefix: str
    state: dict[str, Tensor]
    notes: list[str]
    adapted: bool = False  # its library has renamed them and given them the network's sizes


def wanted_by(own: Mapping[str, Tensor], architecture: Architecture) -> Needs:
    """What a network of an architecture, with these tensors under its own names, needs."""
    names = ((_library_name(place, architecture.names), place) for place in own)
    places = {name: place for name, place in names if name is not None}
    needed = {name: own[place] for name, place in places.items() if not name.endswith(COUNTER)}
    return Needs(places, needed, architecture.classifiers)


def find_fit(
    found: Mapping[str, Tensor], wanted: Needs, adapt: Adapt | None, source: str, hint: str = ASKED
) -> Fit:
    """The prefix that is meant; raises ModelError, which names `source`, when there is none."""
    if fits := _fitting(found, wanted.needed):
        prefix, notes = _choose(fits, wanted, source)
        return Fit(prefix, fits[prefix], notes)
    if adapt is not None and (fits := _renamed(found, wanted.needed, adapt)):
        prefix, notes = _choose(fits, wanted, source)
        before, after = len(_under(found, prefix)), len(fits[prefix])
        counts = f"{before} tensors became {after}"
        notes.append(f"its names changed as the network's library does ({counts})")
        return Fit(prefix, fits[prefix], notes, adapted=True)
    raise _misfit(_nearer(found, wanted.needed, adapt), wanted, source, hint)


def _nearer(
    found: Mapping[str, Tensor], needed: Mapping[str, Tensor], adapt: Adapt | None
) -> Mapping[str, Tensor]:
    """The tensors by their own names, or as the library renames them where more of those fit."""
    renamed = None if adapt is None else try_adapt(adapt, found)
    if renamed is not None and len(renamed.keys() & needed) > len(found.keys() & needed):
        return renamed
    return found


def try_adapt(adapt: Adapt, state: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """What the library makes of the tensors; None where it makes nothing of them."""
    try:
        return dict(adapt(dict(state)))
    except Exception:  # noqa: BLE001 # a library's code on names that it may never have seen
        return None


def _library_name(place: str, names: Sequence[tuple[str, str]]) -> str | None:
    """What the library calls the tensor at a place of the network; None: it has none there."""
    shallow = place  # with another pooling, or a linear head to add, its own head lies deeper
    while shallow.startswith("head.inner."):
        shallow = shallow.replace("head.inner.", "head.", 1)
    for old, new in names:
        if shallow.startswith(new):
            return f"{old}{shallow.removeprefix(new)}"
    return None


def _under(found: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): tensor for n, tensor in found.items() if n.startswith(prefix)}


def _fitting(
    found: Mapping[str, Tensor], needed: Mapping[str, Tensor]
) -> dict[str, dict[str, Tensor]]:
    """The tensors under each prefix that has all names; only those of the right shapes, if any."""
    if not needed:
        return {"": dict(found)}
    longest = max(needed, key=len)
    prefixes = [name.removesuffix(longest) for name in found if name.endswith(longest)]
    fits = [p for p in prefixes if all(f"{p}{name}" in found for name in needed)]
    shaped = [
        p for p in fits if all(_same_shape(found[p + name], own) for name, own in needed.items())
    ]
    return {prefix: _under(found, prefix) for prefix in shaped or fits}


def _same_shape(tensor: Tensor, own: Tensor) -> bool:
    return tensor.shape == own.shape or is_grey(tensor, own)


def is_grey(tensor: Tensor, own: Tensor) -> bool:
    """Whether it is a convolution of one channel in the place of one of three."""
    if tensor.ndim != 4 or tensor.shape[1] != 1:
        return False
    return (tensor.shape[0], 3, *tensor.shape[2:]) == tuple(own.shape)


def _renamed(
    found: Mapping[str, Tensor], needed: Mapping[str, Tensor], adapt: Adapt
) -> dict[str, dict[str, Tensor]]:
    """What fits once the library has renamed what lies under a prefix, wrappers being prefixes."""
    parts = [name.split(".") for name in found]
    prefixes = {
        "".join(f"{word}." for word in part[:depth]) for part in parts for depth in range(4)
    }
    fits = {}
    for prefix in sorted(prefixes, key=len):
        state = _under(found, prefix)
        if len(state) * 2 >= len(needed):
            adapted = try_adapt(adapt, state)
            if adapted is not None and "" in (fitting := _fitting(adapted, needed)):
                fits[prefix] = fitting[""]
    return fits


def _choose(
    fits: Mapping[str, Mapping[str, Tensor]], wanted: Needs, source: str
) -> tuple[str, list[str]]:
    """The prefix that is meant, averaged weights first, and what is to be said of it."""
    whole = [prefix for prefix, state in fits.items() if not wanted.unplaced(state)]
    best, *rest = sorted(whole or fits, key=lambda prefix: (_rank(prefix), len(prefix)))
    others = [
        prefix
        for prefix in rest
        if not all(torch.equal(fits[prefix][name], fits[best][name]) for name in wanted.needed)
    ]
    equals = [prefix for prefix in others if _rank(prefix) == _rank(best)]
    if equals:
        raise ModelError(
            f"{source}: several networks in it fit: those under {first([best, *equals])}",
            "Export the one that is meant: torch.save(state_dict, 'weights.pt').",
        )
    notes = [f"the prefix {best} of its names stripped"] if best else []
    if others:
        notes.append(f"{first(others)} would fit, too: averaged weights come first, students last")
    return best, notes


def _rank(prefix: str) -> int:
    words = {word for part in prefix.lower().split(".") for word in part.split("_")}
    return 0 if words & _AVERAGED else 2 if words & _BEHIND else 1


def _misfit(found: Mapping[str, Tensor], wanted: Needs, source: str, hint: str) -> ModelError:
    """What is missing under the prefix that has most, and how both begin."""
    needed = wanted.needed
    sample = list(needed)[:: max(1, len(needed) // 16)]
    ends = [n.removesuffix(name) for name in sample for n in found if n.endswith(name)]
    prefix = max(dict.fromkeys(ends), key=ends.count, default="")
    missing = [name for name in needed if f"{prefix}{name}" not in found]
    return ModelError(
        f"{source}: {len(missing)} of {len(wanted.places)} tensors of the network are missing "
        f"({first(missing)}); the file's begin {first(list(found))}, the network's "
        f"{first(list(needed))}",
        hint,
    )


def first(names: Sequence[str]) -> str:
    """Up to three names for a message."""
    return ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
