"""torchvision and timm without torch's compiler, whose import takes as long as torch's own.

torchvision imports all of it for one function, which RoIAlign calls on a GPU; timm for a mark on
a function of one network that the compiler is to leave alone.
"""

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType

from torch._compile import _disable_dynamo

_NAMES = ("torch._dynamo", "torch._dynamo.utils")


class _Later(ModuleType):
    """Stands in for a module of the compiler until anything of it is used."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        _leave()
        found: object = getattr(importlib.import_module(self.__name__), name)
        return found


@contextmanager
def compiler_left_out() -> Iterator[None]:
    """What is imported here may name the compiler, which is imported when it is used."""
    if _NAMES[0] in sys.modules:
        yield
        return
    for name in _NAMES:
        sys.modules[name] = _Later(name)
    vars(sys.modules[_NAMES[0]])["disable"] = _disable
    vars(sys.modules[_NAMES[1]])["is_compile_supported"] = _is_compile_supported
    try:
        yield
    finally:
        _leave()


def _leave() -> None:
    for name in _NAMES:
        if isinstance(sys.modules.get(name), _Later):
            del sys.modules[name]


def _disable(function: Callable[..., object], recursive: bool = True, **_: object) -> object:
    """The mark, made when the function is first called; torch uses the same for its own."""
    return _disable_dynamo(function, recursive)


def _is_compile_supported(device: str) -> bool:
    utils = importlib.import_module(_NAMES[1])
    return bool(utils.is_compile_supported(device))
