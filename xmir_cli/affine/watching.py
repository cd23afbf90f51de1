"""What a pass of a transformer attends to, block after block, and which tokens it ends in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from xmir_cli.affine.deriving import deriving
from xmir_cli.affine.holding import Holding, Numbered, Rule, is_live
from xmir_cli.affine.passes import token_axes
from xmir_cli.affine.rules import ATTENTION

if TYPE_CHECKING:
    from typing import Any


@dataclass(frozen=True, eq=False)
class Watched:
    """The attention weights of a pass, in its order, and how much each last token counts."""

    weights: tuple[Tensor, ...]  # [..., heads, queries, keys], rows sum to 1; on the CPU
    ends: Tensor  # [n] float64: the length of the embedding's own gradient at each of n last tokens


def watch(network: Callable[[Tensor], Tensor], image: Tensor) -> Watched:
    """Watch a pass of an image [1, 3, S, S] -> [1, D].

    The last tokens are the last result [1, n, C] or [n, 1, C] with as many tokens as the first
    attention has keys; without any, or without an attention, `ends` is empty.
    """
    mode = _Watching()
    with deriving(), torch.enable_grad(), mode:
        raw = network(image.detach().clone().requires_grad_().clone())[0]
    weights = tuple(each.float().cpu() for each in mode.held)
    if mode.last is None:
        return Watched(weights, torch.zeros(0, dtype=torch.float64))
    half = raw.square().sum() / 2
    with deriving():
        (gradient,) = torch.autograd.grad(half, mode.last, materialize_grads=True)
    return Watched(weights, gradient.flatten(0, 1).double().norm(dim=1).cpu())


def attends(features: Callable[[Tensor], Tensor], size: int, device: torch.device) -> bool:
    """Whether places, or channels, attend to each other anywhere: in windows, merged, or whole.

    That is where a pass multiplies two matrices that both depend on the image. Parameters must be
    frozen.
    """
    mode = _Meeting()
    image = torch.zeros(1, 3, size, size, device=device)
    with deriving(), torch.enable_grad(), mode:
        features(image.requires_grad_().clone())
    return mode.met


def _keep(mode: Holding, func: Callable[..., Tensor], *args: object, **kwargs: object) -> Tensor:
    return mode.hold("attention", lambda: func(*args, **kwargs))


_SOFTMAXES: tuple[object, ...] = (functional.softmax, torch.softmax, Tensor.softmax)
_RULES: dict[object, Rule] = {**dict.fromkeys(_SOFTMAXES, _keep), **ATTENTION}


class _Watching(Holding):
    """Holds attention weights and nothing else; knows the last tokens."""

    def __init__(self) -> None:
        super().__init__(_RULES, 0)
        self.last: Tensor | None = None

    def note(self, result: Tensor) -> Tensor:
        axes = token_axes(result.shape) if self.held and result.requires_grad else ()
        if axes and result.shape[axes[0]] == self.held[0].shape[-1]:
            self.last = result
        return result


_MEETINGS = frozenset((torch.matmul, Tensor.matmul, Tensor.__matmul__, torch.bmm, Tensor.bmm))


class _Meeting(Numbered):
    """Notes whether matrices of the image meet: queries and keys, or keys and values."""

    def __init__(self) -> None:
        super().__init__()
        self.met = False

    def call(
        self, func: Callable[..., object], args: "Sequence[Any]", kwargs: "Mapping[str, Any]"
    ) -> object:
        given = [each for each in args if is_live(each)]
        if func in _MEETINGS or func is torch.einsum:
            matrices = [each for each in given if min(each.shape[-2:], default=1) > 1]
            self.met |= len(matrices) > 1
        self.met |= func in ATTENTION and bool(given)
        return func(*args, **kwargs)
