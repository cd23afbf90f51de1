"""The trace of a network: one pass is recorded as a graph of layers.

The operations are recorded below autograd: there are few kinds of them, whichever modules the
network is made of.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from xmir_cli.program.graph import Node, UnsupportedOperationError
from xmir_cli.program.lowering import LOWERINGS
from xmir_cli.workarounds.torch.dispatch import watch_operations


def trace(features: nn.Module, size: int) -> list[Node]:
    """The graph of `features` for images of `size` pixels: the image first, the result last.

    A weight that the network computes from other weights becomes a constant.
    Raises UnsupportedOperationError.
    """
    image = torch.zeros(1, 3, size, size)
    recorder = _Recorder(image)
    with torch.no_grad(), watch_operations(recorder.record):
        result = features(image)
    found = recorder.find_nodes([result])
    if not found or found[0].layer is None:
        raise UnsupportedOperationError("the result")
    return recorder.nodes[: recorder.nodes.index(found[0]) + 1]


class _Recorder:
    """Records every operation on a tensor that depends on the image as a node."""

    def __init__(self, image: Tensor) -> None:
        self.nodes = [Node(None, [], image.shape[1], (image.shape[2], image.shape[3]))]
        self._node_by_id = {id(image): self.nodes[0]}
        self._alive: list[object] = [image]  # a tensor that is freed would give its id to another

    def find_nodes(self, values: Sequence[object]) -> list[Node]:
        """The nodes of those values that are tensors which depend on the image."""
        return [self._node_by_id[id(value)] for value in values if id(value) in self._node_by_id]

    def record(
        self,
        name: str,
        arguments: tuple[object, ...],
        settings: Mapping[str, object],
        result: object,
    ) -> None:
        """Add a node for the operation, if it reads one; raises UnsupportedOperationError."""
        first = arguments[:1]
        if arguments and isinstance(arguments[0], list):
            first = tuple(arguments[0])
        inputs = self.find_nodes([*first, *arguments[1:], *settings.values()])
        if not inputs:
            return
        maps = result[0] if isinstance(result, tuple) else result
        self._alive.append(maps)
        lower = LOWERINGS.get(name.removesuffix("_"))
        if lower is None or not isinstance(maps, Tensor) or maps.ndim != 4:
            raise UnsupportedOperationError(name)
        if len(self.find_nodes(first)) != len(first):
            raise UnsupportedOperationError(f"{name} of a constant")
        node = Node(None, inputs, maps.shape[1], (maps.shape[2], maps.shape[3]))
        try:
            node.layer = lower(node, *arguments[1:], **settings)
        except TypeError:  # an argument that no function of LOWERINGS takes
            raise UnsupportedOperationError(name) from None
        self.nodes.append(node)
        self._node_by_id[id(maps)] = node
