"""torchvision and timm without torch's compiler, whose import takes as long as torch's own."""

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType

from torch._compile import _disable_dynamo

_NAMES = ("torch._dynamo", "torch._dynamo.utils")


@contextmanager
def leave_compiler_out() -> Iterator[None]:
    """What is imported here may name the compiler; it is imported when it is first used.

    Why: torchvision imports the compiler for one function, which RoIAlign calls on a GPU; timm
    imports it to mark a function of one network that the compiler leaves alone. Stand-ins take the
    compiler's place in `sys.modules`. The mark is torch's own for its functions, `_disable_dynamo`,
    which imports the compiler when the marked function is first called.
    Seen with: torch 2.14.1, torchvision 0.29.1, timm 1.0.31.
    Fails without: tests/test_startup.py
    test_the_networks_of_torchvision_and_timm_need_no_compiler_until_it_is_used
    """
    if _NAMES[0] in sys.modules:
        yield
        return
    for name in _NAMES:
        sys.modules[name] = _StandIn(name)
    vars(sys.modules[_NAMES[0]])["disable"] = _disable
    vars(sys.modules[_NAMES[1]])["is_compile_supported"] = _is_compile_supported
    try:
        yield
    finally:
        _remove_stand_ins()


class _StandIn(ModuleType):
    """Stands in for a module of the compiler until one of its other names is used."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        _remove_stand_ins()
        found: object = getattr(importlib.import_module(self.__name__), name)
        return found


def _remove_stand_ins() -> None:
    for name in _NAMES:
        if isinstance(sys.modules.get(name), _StandIn):
            del sys.modules[name]


def _disable(function: Callable[..., object], recursive: bool = True, **_: object) -> object:
    """The compiler's mark for a function that it leaves alone."""
    return _disable_dynamo(function, recursive)


def _is_compile_supported(device: str) -> bool:
    utils = importlib.import_module(_NAMES[1])
    return bool(utils.is_compile_supported(device))
