"""The graph of a network: its layers and which results each of them reads."""

from collections.abc import Sequence
from dataclasses import dataclass

from xmir_cli.program.boxes import Size
from xmir_cli.program.layers import Layer


@dataclass(eq=False)
class Node:
    """One layer of the graph; the image is a node without a layer."""

    layer: Layer | None
    inputs: list["Node"]
    channels: int
    size: Size
    allocation: "Node | None" = None  # the longest concatenation in the same memory


class UnsupportedOperationError(Exception):
    """The network does something that cannot be computed cell by cell."""


def drop_unread(nodes: Sequence[Node]) -> list[Node]:
    """The nodes that the last one depends on, in order."""
    read = {id(nodes[-1])}
    for node in reversed(nodes):
        if id(node) in read:
            read.update(id(source) for source in node.inputs)
    return [node for node in nodes if id(node) in read]
