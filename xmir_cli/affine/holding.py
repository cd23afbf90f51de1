"""A mode that records what one pass of a network decided, and replays a pass with the same."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeGuard

from torch import Tensor
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from typing import Any

# what stands for a function while a mode holds: it takes the mode, the function, its arguments
Rule = Callable[..., object]
# what is held, as records name it, in the order of the records
KINDS = ("attention", "deviations", "gates", "factors", "maxima")


class NoPartsError(ValueError):
    """What keeps a network's parts from writing anything into its embedding."""


class Numbered(TorchFunctionMode):
    """Numbers the calls of a pass that make a tensor, from 1: all passes of a network alike."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: "Sequence[Any]" = (),
        kwargs: "Mapping[str, Any] | None" = None,
    ) -> object:
        """Call the function, or what stands for it."""
        del types
        result = self.call(func, args, kwargs or {})
        if not isinstance(result, Tensor):
            return result
        self.calls += 1
        return self.note(result)

    def call(
        self, func: Callable[..., object], args: "Sequence[Any]", kwargs: "Mapping[str, Any]"
    ) -> object:
        """What the function gives."""
        return func(*args, **kwargs)

    def note(self, result: Tensor) -> Tensor:
        """What the pass goes on with."""
        return result


class Holding(Numbered):
    """Records the constants of a pass; given those of an earlier pass, uses them in their place.

    Only what comes from a part depends on the image here: parts are the result of one call and
    whatever a rule makes one. A replay takes other tensors as its parts. Both passes must take the
    same calls in the same order. A mode is for one pass.
    """

    def __init__(
        self,
        rules: Mapping[object, Rule],
        number: int,
        earlier: tuple[Sequence[Tensor], Sequence[Tensor]] | None = None,
    ) -> None:
        """`number` is that of the call whose result is a part; `earlier` are held and parts."""
        super().__init__()
        self.held: list[Tensor] = []
        self.parts: list[Tensor] = []
        self.kinds: set[str] = set()
        self._rules, self._number, self._earlier = rules, number, earlier

    def call(
        self, func: Callable[..., object], args: "Sequence[Any]", kwargs: "Mapping[str, Any]"
    ) -> object:
        rule = self._rules.get(func)
        return func(*args, **kwargs) if rule is None else rule(self, func, *args, **kwargs)

    def note(self, result: Tensor) -> Tensor:
        return self.part(result) if self.calls == self._number else result

    def hold(self, kind: str, compute: Callable[[], Tensor]) -> Tensor:
        """A constant of this pass; in a replay the one that the earlier pass held here."""
        self.kinds.add(kind)
        place = len(self.held)
        constant = compute().detach() if self._earlier is None else self._earlier[0][place]
        self.held.append(constant)
        return constant

    def part(self, tensor: Tensor) -> Tensor:
        """A tensor that is shared out; in a replay the one that takes its place."""
        place = len(self.parts)
        taken = tensor if self._earlier is None else self._earlier[1][place]
        self.parts.append(taken.detach().requires_grad_())
        return self.parts[-1].clone()  # for a leaf may not be changed in place


def is_live(value: object) -> TypeGuard[Tensor]:
    """Whether a value depends on a part: parameters are frozen, constants detached."""
    return isinstance(value, Tensor) and value.requires_grad
