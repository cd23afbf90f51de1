"""The trace of a network: one pass is recorded as a graph of layers.

The operations are recorded below autograd: there are few kinds of them, whichever modules the
network is made of.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from xmir_cli.program.graph import Node, UnsupportedOperationError
from xmir_cli.program.lowering import LOWERINGS


def trace(features: nn.Module, size: int) -> list[Node]:
    """The graph of `features` for images of `size` pixels: the image first, the result last.

    A weight that the network computes from other weights becomes a constant.
    Raises UnsupportedOperationError.
    """
    image = torch.zeros(1, 3, size, size)
    recorder = _Recorder(image)
    with torch.no_grad(), recorder:
        result = features(image)
    found = recorder.find_nodes([result])
    if not found or found[0].layer is None:
        raise UnsupportedOperationError("the result")
    return recorder.nodes[: recorder.nodes.index(found[0]) + 1]


class _Recorder(TorchDispatchMode):
    """Records every operation on a tensor that depends on the image."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else torch imports its compiler, 2 s, to tell it to keep away from here

    def __init__(self, image: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # torch's own
        self.nodes = [Node(None, [], image.shape[1], (image.shape[2], image.shape[3]))]
        self._node_by_id = {id(image): self.nodes[0]}
        self._alive: list[object] = [image]  # a tensor that is freed would give its id to another

    def find_nodes(self, values: Sequence[object]) -> list[Node]:
        """The nodes of those values that are tensors which depend on the image."""
        return [self._node_by_id[id(value)] for value in values if id(value) in self._node_by_id]

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
        inputs = self.find_nodes([*listed, *args, *settings.values()])
        if inputs:
            self._record(str(func).split(".")[1], inputs, (args, settings), result)
        return result

    def _record(
        self,
        name: str,
        inputs: list[Node],
        arguments: tuple[tuple[object, ...], Mapping[str, object]],
        result: object,
    ) -> None:
        args, settings = arguments
        maps = result[0] if isinstance(result, tuple) else result
        self._alive.append(maps)
        lower = LOWERINGS.get(name.removesuffix("_"))
        if lower is None or not isinstance(maps, Tensor) or maps.ndim != 4:
            raise UnsupportedOperationError(name)
        first = args[0] if isinstance(args[0], list) else args[:1]
        if len(self.find_nodes(first)) != len(first):
            raise UnsupportedOperationError(f"{name} of a constant")
        node = Node(None, inputs, maps.shape[1], (maps.shape[2], maps.shape[3]))
        try:
            node.layer = lower(node, *args[1:], **settings)
        except TypeError:  # an argument that no function of LOWERINGS takes
            raise UnsupportedOperationError(name) from None
        self.nodes.append(node)
        self._node_by_id[id(maps)] = node
