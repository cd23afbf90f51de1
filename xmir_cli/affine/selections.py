"""Rules of functions that select: what they take from where is held, so that they are linear."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from xmir_cli.affine.holding import Holding, Rule, is_live

if TYPE_CHECKING:
    from typing import Any

Selecting = Callable[..., Sequence[Tensor]]  # gives values and where they lie


def _select_along(
    mode: Holding, func: Selecting, x: Tensor, *args: object, **kwargs: object
) -> object:
    """`topk` and `sort`: values [.., k, ..] and where along an axis they lie."""
    place = 1 if func in _COUNTED else 0  # of the axis among what follows x
    dim = kwargs.get("dim", args[place] if len(args) > place else -1)
    return _gather(mode, partial(func, x, *args, **kwargs), x, dim)


def _select_extreme(
    mode: Holding, func: "Callable[..., Any]", x: Tensor, *args: object, **kwargs: object
) -> object:
    """`max` and `min`: of everything, along an axis, or of two tensors."""
    other = kwargs.get("other", args[0] if args else kwargs.get("dim"))
    if isinstance(other, Tensor):
        return _select_between(mode, func, x, other)
    if other is None:
        flat = x.flatten()
        return _gather(mode, partial(func, flat, 0), flat, 0)[0]
    return _gather(mode, partial(func, x, *args, **kwargs), x, other)


def _select_between(
    mode: Holding,
    func: Callable[..., Tensor],
    input: Tensor,  # noqa: A002 # torch's name
    other: Tensor,
) -> Tensor:
    """`maximum` and `minimum`; of two alike the first."""
    if not (is_live(input) or is_live(other)):
        return func(input, other)
    first = mode.hold("maxima", lambda: func(input, other) == input)
    return torch.where(first, input, other)


def _gather(mode: Holding, select: Selecting, x: Tensor, dim: object) -> Sequence[Tensor]:
    found = select()
    if not is_live(x):
        return found
    assert isinstance(dim, int)
    taken = mode.hold("maxima", lambda: found[1])
    gone = taken.ndim < x.ndim
    values = x.gather(dim, taken.unsqueeze(dim) if gone else taken)
    both = (values.squeeze(dim) if gone else values, taken)
    return type(found)(both)  # type: ignore[call-arg] # torch's named pairs take one


_COUNTED: tuple[object, ...] = (torch.topk, Tensor.topk)
SELECTIONS: dict[object, Rule] = {
    **dict.fromkeys((*_COUNTED, torch.sort, Tensor.sort), _select_along),
    **dict.fromkeys((torch.max, Tensor.max, torch.min, Tensor.min), _select_extreme),
    **dict.fromkeys(
        (torch.maximum, Tensor.maximum, torch.minimum, Tensor.minimum), _select_between
    ),
}
