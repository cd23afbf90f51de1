"""From a network to its program: trace, passes, steps, and a trial against the network itself."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from xmir_cli.program.boxes import crop
from xmir_cli.program.concatenation import Concatenation
from xmir_cli.program.convolution import Convolution
from xmir_cli.program.graph import Node, UnsupportedOperationError
from xmir_cli.program.layers import Layer
from xmir_cli.program.passes import run_passes
from xmir_cli.program.point_convolution import PointConvolution
from xmir_cli.program.program import Program, Step
from xmir_cli.program.trace import trace

_CALL = 4_000_000  # multiplications that take as long as starting one step
_LAYOUT = 80  # multiplications that take as long as laying out one weight, which every call does
_PASS = 12  # multiplications that take as long as reading and writing one number
_TOLERANCE = 1e-4  # of the feature maps' largest value, against the network itself


def compile_program(features: nn.Module, size: int) -> Program | None:
    """The program of `features` for images of `size` pixels; None for an unsupported network.

    The program is tried on two images, whole and in part; None, too, where it differs from the
    network.
    """
    try:
        nodes = run_passes(trace(features, size))
    except UnsupportedOperationError:
        return None
    program = Program(_make_steps(nodes), size)
    return program if _agrees(program, features) else None


def _make_steps(nodes: Sequence[Node]) -> list[Step]:
    numbers = {id(node): number for number, node in enumerate(nodes)}
    # a later reader replaces an earlier one
    last_readers = {id(source): node for node in nodes for source in node.inputs}
    return [
        _make_step(node, node.layer, numbers, last_readers)
        for node in nodes
        if node.layer is not None
    ]


def _make_step(
    node: Node, layer: Layer, numbers: Mapping[int, int], last_readers: Mapping[int, Node]
) -> Step:
    first, weights = node.inputs[0], _count_weights(layer)
    last_reads = [key for key in dict.fromkeys(map(id, node.inputs)) if last_readers[key] is node]
    # the image is the caller's; a concatenation's memory belongs to the ones that extend it, too
    is_private = first.layer is not None and not isinstance(first.layer, Concatenation)
    return Step(
        layer,
        inputs=tuple(numbers[id(source)] for source in node.inputs),
        size=node.size,
        cell_cost=weights + _PASS * node.channels,
        start_cost=_CALL + _LAYOUT * weights,
        allocation=numbers[id(node.allocation or node)],
        last_reads=tuple(numbers[key] for key in last_reads),
        may_overwrite=is_private and last_readers[id(first)] is node,
    )


def _count_weights(layer: Layer) -> int:
    return layer.weight.numel() if isinstance(layer, Convolution | PointConvolution) else 0


def _agrees(program: Program, features: nn.Module) -> bool:
    """Whether both compute the same for an image hidden in a corner and one in the middle."""
    generator = torch.Generator().manual_seed(0)
    size, quarter, middle = program.size, max(1, program.size // 4), program.size // 2
    boxes = [(0, quarter, quarter, 2 * quarter), (middle, middle, middle + 1, middle + 1)]
    with torch.no_grad():
        image, other = torch.randn(2, 3, size, size, generator=generator)
        hidden, found, base = image.repeat(len(boxes), 1, 1, 1), [], program.run_base(image)
        for copy, box in zip(hidden, boxes, strict=True):
            pixels = crop(other[None], box)
            crop(copy[None], box).copy_(pixels)
            found.append(program.run_changed(pixels, box, base).materialize_whole())
        expected: Tensor = features(hidden)
        found.append(program.run(hidden[:1]))
        difference = torch.cat(found) - expected[[0, 1, 0]]
        return bool(difference.abs().max() <= _TOLERANCE * float(expected.abs().max()))
