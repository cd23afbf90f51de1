"""A network as a list of steps that can run whole, or only where an image has changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from xmir_cli.program.boxes import Box, Size, area, around, crop, intersection, whole
from xmir_cli.program.concatenation import Concatenation
from xmir_cli.program.convolution import Convolution
from xmir_cli.program.graph import Node, UnsupportedOperationError
from xmir_cli.program.layers import Layer, Place
from xmir_cli.program.passes import run_passes
from xmir_cli.program.patches import Patch
from xmir_cli.program.point_convolution import PointConvolution
from xmir_cli.program.trace import trace

_DENSE = 0.8  # a share of the map from which all of it is computed
_CALL = 4_000_000  # multiplications that take as long as starting one step
_LAYOUT = 80  # multiplications that take as long as laying out one weight, which every call does
_PASS = 12  # multiplications that take as long as reading and writing one number
_TOLERANCE = 1e-4  # of the feature maps' largest value, against the network itself


@dataclass(frozen=True, eq=False)
class Step:
    """One layer; steps are known by their places in the program."""

    layer: Layer
    inputs: tuple[int, ...]
    size: Size
    work: int  # multiplications a cell, or what takes as long
    room: int  # the step whose box is the extent of the memory
    spent: tuple[int, ...]  # steps whose results no later one needs
    reuse: bool  # the first input's memory may be taken


class Program:
    """What `features` computes for one image size, on the CPU in float32; holds folded weights."""

    def __init__(self, steps: Sequence[Step], size: int) -> None:
        self.steps, self.size = steps, size

    def dense(self, images: Tensor) -> Tensor:
        """Feature maps [B, C, h, w] of images [B, 3, S, S]."""
        images = images.contiguous(memory_format=torch.channels_last)
        boxes: list[Box | None] = [(0, 0, self.size, self.size)]
        boxes += [whole(step.size) for step in self.steps]
        last = self._run(Patch(images, boxes[0], None), boxes, None)[-1]
        assert last.values is not None
        return last.values

    def bases(self, image: Tensor) -> list[Tensor]:
        """What every step makes of one image [3, S, S]: [1, C, H, W] each, the image first."""
        first = image[None].contiguous(memory_format=torch.channels_last)
        boxes: list[Box | None] = [(0, 0, self.size, self.size)]
        boxes += [whole(step.size) for step in self.steps]
        patches = self._run(Patch(first, boxes[0], None), boxes, None, keep=True)
        return [patch.values for patch in patches if patch.values is not None]

    def changed(
        self, values: Tensor, box: Box, bases: Sequence[Tensor], margin: int | None = None
    ) -> Patch:
        """The feature maps of B images that differ from the base only inside the box.

        Args:
            values: The images' pixels in the box [B, 3, height, width].
            box: Top, left, bottom, right in pixels.
            bases: Of the base image.
            margin: How far around the box cells may change, as of `boxes`; None is exact.
        """
        values = values.contiguous(memory_format=torch.channels_last)
        return self._run(Patch(values, box, bases[0]), self.boxes(box, margin), bases)[-1]

    def boxes(self, box: Box, margin: int | None = None) -> list[Box | None]:
        """The cells of every step that can differ when the image does inside the box.

        With a margin they are at most so many cells of each map away from those under the box;
        what lies farther off counts as unchanged.
        """
        boxes: list[Box | None] = [box]
        sizes: list[Size] = [(self.size, self.size)]
        for step in self.steps:
            given = [boxes[source] for source in step.inputs]
            reached = step.layer.reach(given, [sizes[source] for source in step.inputs], step.size)
            if margin is not None and reached is not None:
                reached = intersection(reached, around(box, self.size, step.size, margin))
            if reached is not None and area(reached) >= _DENSE * area(whole(step.size)):
                reached = whole(step.size)
            boxes.append(reached)
            sizes.append(step.size)
        return boxes

    @cached_property
    def start(self) -> int:
        """Multiplications that take as long as starting every step, whatever it then computes."""
        return sum(_CALL + _LAYOUT * _weights(step.layer) for step in self.steps)

    def work(self, boxes: Sequence[Box | None]) -> int:
        """Multiplications an image that only the boxes need; the first is the image's."""
        pairs = zip(self.steps, boxes[1:], strict=True)
        return sum(step.work * area(box) for step, box in pairs if box is not None)

    def _run(
        self,
        first: Patch,
        boxes: Sequence[Box | None],
        bases: Sequence[Tensor] | None,
        keep: bool = False,
    ) -> list[Patch]:
        """The result of every step; without `keep` those that were needed on the way are empty."""
        done = [first]
        for place, step in enumerate(self.steps, start=1):
            box, base = boxes[place], None if bases is None else bases[place]
            if box is None:
                done.append(Patch(None, None, base))
                continue
            inputs = [done[source] for source in step.inputs]
            room = boxes[step.room]
            assert room is not None
            reuse = step.reuse and not keep and inputs[0].box == box
            row = None if bases is None else bases[step.room]
            done.append(step.layer.apply(inputs, Place(box, step.size, base, room, row, reuse)))
            if not keep:
                for source in step.spent:
                    done[source] = Patch(None, None, None)
        return done


def compile_program(features: nn.Module, size: int) -> Program | None:
    """The program of `features` for images of `size` pixels; None where it cannot be followed.

    It is tried on two images, whole and in part, and given up if it differs.
    """
    try:
        nodes = run_passes(trace(features, size))
    except UnsupportedOperationError:
        return None
    program = Program(_steps(nodes), size)
    return program if _agrees(program, features) else None


def _steps(nodes: Sequence[Node]) -> list[Step]:
    place = {id(node): index for index, node in enumerate(nodes)}
    last = {id(source): index for index, node in enumerate(nodes) for source in node.inputs}
    steps = []
    for index, node in enumerate(nodes[1:], start=1):
        assert node.layer is not None
        sources = {id(source): source for source in node.inputs}
        source = node.inputs[0]
        fresh = source.layer is not None and not isinstance(source.layer, Concatenation)
        steps.append(
            Step(
                node.layer,
                tuple(place[id(source)] for source in node.inputs),
                node.size,
                _work(node),
                place[id(node.allocation)] if node.allocation is not None else index,
                tuple(place[key] for key in sources if last[key] == index),
                fresh and last[id(source)] == index,
            )
        )
    return steps


def _work(node: Node) -> int:
    return _weights(node.layer) + _PASS * node.channels


def _weights(layer: Layer | None) -> int:
    return layer.weight.numel() if isinstance(layer, Convolution | PointConvolution) else 0


def _agrees(program: Program, features: nn.Module) -> bool:
    """Whether both make the same of an image hidden in a corner and of one hidden in the middle."""
    generator = torch.Generator().manual_seed(0)
    size, quarter, middle = program.size, max(1, program.size // 4), program.size // 2
    boxes = [(0, quarter, quarter, 2 * quarter), (middle, middle, middle + 1, middle + 1)]
    with torch.no_grad():
        image, other = torch.randn(2, 3, size, size, generator=generator)
        hidden, found, bases = image.repeat(len(boxes), 1, 1, 1), [], program.bases(image)
        for copy, box in zip(hidden, boxes, strict=True):
            part = crop(other[None], box)
            crop(copy[None], box).copy_(part)
            found.append(program.changed(part, box, bases).maps)
        expected: Tensor = features(hidden)
        found.append(program.dense(hidden[:1]))
        difference = torch.cat(found) - expected[[0, 1, 0]]
        return bool(difference.abs().max() <= _TOLERANCE * float(expected.abs().max()))
