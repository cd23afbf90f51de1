"""Passes of a network that are watched and not changed: they end early, or are noted."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING
from weakref import ref

from torch import Tensor
from torch.autograd.graph import Node

from xmir_cli.affine.holding import Numbered
from xmir_cli.affine.rules import ATTENTION, BENDS, NORMS

if TYPE_CHECKING:
    from typing import Any

Grid = tuple[int, int]  # rows and columns of places


class SeenError(Exception):
    """Ends a pass at the tensor that it was made for."""

    def __init__(self, number: int, tensor: Tensor) -> None:
        super().__init__()
        self.number, self.tensor = number, tensor


class Stop(Numbered):
    """Ends at the call of a number."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number

    def note(self, result: Tensor) -> Tensor:
        if self.calls == self._number:
            raise SeenError(self.calls, result)
        return result


class FirstTokens(Numbered):
    """Ends at the first norm over tokens."""

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self._grid, self._normed = grid, False
        self.unnormed = 0  # the number of the first tokens without a norm
        self._made: list[tuple[int, ref[Tensor]]] = []

    def call(
        self, func: Callable[..., object], args: "Sequence[Any]", kwargs: "Mapping[str, Any]"
    ) -> object:
        if func in NORMS and args:
            tokens: Tensor = args[0]
            if token_axes(tokens.shape) or (
                tuple(tokens.shape[:3]) == (1, *self._grid) and not self._normed
            ):
                for number, made in reversed(self._made):
                    if made() is tokens:
                        raise SeenError(number, tokens)
            self._normed = True
        return func(*args, **kwargs)

    def note(self, result: Tensor) -> Tensor:
        self._made.append((self.calls, ref(result)))
        axes = token_axes(result.shape)
        if not self.unnormed and axes and result.shape[axes[0]] == self._grid[0] * self._grid[1]:
            self.unnormed = self.calls
        return result


def token_axes(shape: Sequence[int]) -> tuple[int, ...]:
    """The axis of tokens [1, n, C] or [n, 1, C], alone; none of another shape."""
    if len(shape) != 3 or 1 not in shape[:2]:
        return ()
    return (1,) if shape[0] == 1 else (0,)


class Recording(Numbered):
    """Keeps the number, the place in the graph and the shape of every result."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[tuple[int, Node, Sequence[int]]] = []

    def note(self, result: Tensor) -> Tensor:
        if result.grad_fn is not None:
            self.made.append((self.calls, result.grad_fn, tuple(result.shape)))
        return result


class Inside(Numbered):
    """Notes the last call inside a block."""

    def __init__(self) -> None:
        super().__init__()
        self.last, self.attends = 0, False

    def call(
        self, func: Callable[..., object], args: "Sequence[Any]", kwargs: "Mapping[str, Any]"
    ) -> object:
        self.attends |= func in ATTENTION
        if func in ATTENTION or (func in BENDS and args[0].ndim > 2):  # not of a pooled vector
            self.last = self.calls + 1
        return func(*args, **kwargs)
