"""What a network computes, recorded from one pass as a graph of layers.

The pass is watched below autograd, where few operations are left whatever module they come from.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from xmir_cli.program.lowering import OPERATIONS, Node, UnknownLayerError


def record(features: nn.Module, size: int) -> list[Node]:
    """The graph of `features` for images of `size` pixels, the image first, the result last.

    Raises UnknownLayerError. Weights that the network computes from others are taken as they are.
    """
    image = torch.zeros(1, 3, size, size)
    recorder = _Recorder(image)
    with torch.no_grad(), recorder:
        result = features(image)
    made = recorder.nodes_of([result])
    if not made or made[0].layer is None:
        raise UnknownLayerError("the result")
    return recorder.nodes[: recorder.nodes.index(made[0]) + 1]


class _Recorder(TorchDispatchMode):
    """Notes every operation on what comes from the image."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else torch imports its compiler, 2 s, to tell it to keep away from here

    def __init__(self, image: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # torch's own
        self.nodes = [Node(None, [], image.shape[1], (image.shape[2], image.shape[3]))]
        self._node = {id(image): self.nodes[0]}
        self._kept: list[object] = [image]  # so that no identity is given twice

    def nodes_of(self, values: Sequence[object]) -> list[Node]:
        """The nodes that made the tensors among the values, for those that come from the image."""
        return [self._node[id(value)] for value in values if id(value) in self._node]

    def __torch_dispatch__(
        self,
        func: torch._ops.OpOverload,
        types: Sequence[type],
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        del types
        settings = kwargs or {}
        result: object = func(*args, **settings)
        listed = args[0] if args and isinstance(args[0], list) else []
        inputs = self.nodes_of([*listed, *args, *settings.values()])
        if inputs:
            self._note(str(func).split(".")[1], inputs, (args, settings), result)
        return result

    def _note(
        self,
        name: str,
        inputs: list[Node],
        arguments: tuple[tuple[object, ...], Mapping[str, object]],
        result: object,
    ) -> None:
        args, settings = arguments
        made = result[0] if isinstance(result, tuple) else result
        self._kept.append(made)
        build = OPERATIONS.get(name.removesuffix("_"))
        if build is None or not isinstance(made, Tensor) or made.ndim != 4:
            raise UnknownLayerError(name)
        first = args[0] if isinstance(args[0], list) else args[:1]
        if len(self.nodes_of(first)) != len(first):
            raise UnknownLayerError(f"{name} of a constant")
        node = Node(None, inputs, made.shape[1], (made.shape[2], made.shape[3]))
        try:
            node.layer = build(node, *args[1:], **settings)
        except TypeError:  # a setting that no operation here has
            raise UnknownLayerError(name) from None
        self.nodes.append(node)
        self._node[id(made)] = node
