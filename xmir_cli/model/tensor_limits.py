"""How large a tensor may be that a library makes while it builds a network: known before it is."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

import torch
from torch import Tensor, nn
from torch.nn.modules import module as watched
from torch.overrides import TorchFunctionMode

from xmir_cli.errors import ModelError

_READS = {"__get__", "__set__", "__len__", "dim", "size", "numel", "item", "tolist"}  # make none


@contextmanager
def small_tensors(limit: int, refusal: ModelError) -> Iterator[None]:
    """While it lasts, a call for a tensor of more than `limit` values ends in `refusal`.

    Each call is tried on torch's device of tensors without values first. What passes through
    layers is not a network's own, and is not counted.
    """
    mode = _Tried(limit, refusal)
    hooks = [
        watched.register_module_forward_pre_hook(mode.enter_layer),
        watched.register_module_forward_hook(mode.leave_layer, always_call=True),
    ]
    try:
        with mode:
            yield
    finally:
        for hook in hooks:
            hook.remove()


class _Tried(TorchFunctionMode):
    def __init__(self, limit: int, refusal: ModelError) -> None:
        super().__init__()
        self.limit, self.refusal, self.layers = limit, refusal, 0

    def enter_layer(self, *_given: object) -> None:
        self.layers += 1

    def leave_layer(self, *_given: object) -> None:
        self.layers -= 1

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        del types
        settings = kwargs or {}
        if not self.layers and getattr(func, "__name__", "") not in _READS:
            self._try(func, args, settings)
        return func(*args, **settings)

    def _try(
        self, func: Callable[..., object], args: Sequence[object], kwargs: Mapping[str, object]
    ) -> None:
        tried: object = None
        with suppress(Exception), torch.device("meta"):  # what needs values, or fails again
            settings = {key: _empty(value) for key, value in kwargs.items()}
            if settings.get("device") is not None:
                settings["device"] = "meta"
            tried = func(*map(_empty, args), **settings)
        if _largest(tried) > self.limit:
            raise self.refusal


def _empty(value: object) -> object:
    """The same without values: its shape, its strides, and how much lies behind it."""
    if isinstance(value, Tensor):
        bare = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta")
        return nn.Parameter(bare, value.requires_grad) if isinstance(value, nn.Parameter) else bare
    if isinstance(value, list | tuple) and any(isinstance(each, Tensor) for each in value):
        return [_empty(each) for each in value]
    return value


def _largest(made: object) -> int:
    """How many values lie behind what a call made; a view has none of its own."""
    if isinstance(made, Tensor):
        return made.untyped_storage().nbytes() // made.element_size()
    return max(map(_largest, made), default=0) if isinstance(made, list | tuple) else 0
