"""The operations that a network is made of, watched below autograd."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch.utils._python_dispatch import TorchDispatchMode

Arguments = tuple[object, ...]
Notice = Callable[[str, Arguments, Mapping[str, object], object], None]


@contextmanager
def watch_operations(notice: Notice) -> Iterator[None]:
    """Tell `notice` the name, arguments, keyword arguments and result of every operation.

    Names are those of torch.ops.aten: `convolution`, `relu_`.

    Why: hooks of modules miss operations that are plain functions. torch.fx fails where a network
    looks at a shape, and torch.export imports the compiler. `TorchDispatchMode` lies in a private
    module. Its subclasses import the compiler, 2 s, unless `_should_skip_dynamo` says no.
    Seen with: torch 2.14.1.
    Fails without: tests/test_startup.py
    test_a_network_of_ones_own_needs_neither_torchvision_nor_the_compiler
    """
    with _Watcher(notice):
        yield


class _Watcher(TorchDispatchMode):
    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __init__(self, notice: Notice) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # torch's own
        self._notice = notice

    def __torch_dispatch__(
        self,
        func: torch._ops.OpOverload,
        types: Sequence[type],
        args: Arguments = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        del types
        settings = kwargs or {}
        result: object = func(*args, **settings)
        name = str(func).split(".")[1]  # of "aten.relu_.default"
        self._notice(name, args, settings, result)
        return result
