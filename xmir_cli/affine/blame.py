"""Which function keeps the parts from summing up to the embedding, and in which layer."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from xmir_cli.affine.holding import Holding, is_live
from xmir_cli.affine.rules import RULES
from xmir_cli.affine.survey import Seat

if TYPE_CHECKING:
    from typing import Any

_LARGEST = 1e-3  # of a result: a larger error is none of rounding


def blame(network: nn.Module, given: Tensor, seat: Seat) -> str:
    """The first function that is not affine and has no rule, as `name in layer`; empty: none.

    Slow: every function is called three times.
    """
    mode = _Trying(seat.number)
    hooks = [
        hook
        for name, module in network.named_modules()
        for hook in (
            module.register_forward_pre_hook(partial(mode.enter, name)),
            module.register_forward_hook(mode.leave),
        )
    ]
    try:
        with torch.enable_grad(), mode:
            network(mode.part(given) if not seat.number else given)
    finally:
        for hook in hooks:
            hook.remove()
    return mode.found


class _Trying(Holding):
    """Tries whether f(2x) - f(0) is twice f(x) - f(0) for every function without a rule."""

    def __init__(self, number: int) -> None:
        super().__init__(RULES, number)
        self.found = ""
        self._layers: list[str] = []

    def enter(self, name: str, *given: object) -> None:
        """A layer begins."""
        del given
        self._layers.append(name)

    def leave(self, *given: object) -> None:
        """The layer that began last ends."""
        del given
        self._layers.pop()

    def call(
        self, func: Callable[..., object], args: "Sequence[Any]", kwargs: "Mapping[str, Any]"
    ) -> object:
        name = str(getattr(func, "__name__", func))
        in_place = name.endswith("_") and not name.endswith("__")
        tried = func not in RULES and not in_place and not name.startswith("__i")
        if tried and not self.found and not _is_affine(func, args, kwargs):
            layer = f" in {self._layers[-1]}" if self._layers and self._layers[-1] else ""
            self.found = f"{name.strip('_')}{layer}"
        return super().call(func, args, kwargs)


def _is_affine(
    func: Callable[..., object], args: "Sequence[Any]", kwargs: "Mapping[str, Any]"
) -> bool:
    """Whether a function is affine in those of its arguments that depend on the image."""
    if not any(map(is_live, _flat(args))):
        return True
    with torch.no_grad():
        once, none, twice = (func(*_scaled(args, by), **kwargs) for by in (1.0, 0.0, 2.0))
    if not (isinstance(once, Tensor) and isinstance(none, Tensor) and isinstance(twice, Tensor)):
        return True
    if not once.is_floating_point():
        return torch.equal(once, none)
    error = (twice - 2 * once + none).abs().max() if once.numel() else once.new_zeros(())
    return bool(error <= _LARGEST * (once.abs().max() if once.numel() else 1) + 1e-6)


def _flat(values: "Sequence[Any]") -> "list[Any]":
    return [
        each
        for value in values
        for each in (_flat(value) if isinstance(value, list | tuple) else [value])
    ]


def _scaled(values: "Sequence[Any]", by: float) -> "list[Any]":
    """The same with what depends on the image that many times as large."""
    return [
        _scaled(value, by)
        if isinstance(value, list | tuple)
        else (value.detach() * by if is_live(value) else value)
        for value in values
    ]
