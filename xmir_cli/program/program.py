"""A network as a list of steps. They run whole, or only where an image has changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from xmir_cli.program.boxes import Box, Size, count_cells, full_box, intersect, scale_to_cells
from xmir_cli.program.layers import Destination, Layer
from xmir_cli.program.patches import Changed, Patch, Same, Whole

_FULL = 0.8  # a box with at least this share of a map grows to the full map


@dataclass(frozen=True, eq=False)
class Step:
    """One layer of a program. Steps have numbers from 1 on; number 0 is the image."""

    layer: Layer
    inputs: tuple[int, ...]
    size: Size
    cell_cost: int  # multiplications a cell, or as many as take as long
    start_cost: int  # multiplications that take as long as starting the step
    allocation: int  # the longest concatenation in the same memory; else the step itself
    last_reads: tuple[int, ...]  # inputs that no later step reads
    may_overwrite: bool  # the first input's memory may take the result


@dataclass(frozen=True, eq=False)
class Program:
    """What a network computes for one image size, on the CPU in float32; holds folded weights."""

    steps: Sequence[Step]
    size: int  # pixels

    def run(self, images: Tensor) -> Tensor:
        """Feature maps [B, C, h, w] of images [B, 3, S, S]."""
        first = Whole(_to_channels_last(images))
        return self._run(first, self._plan_whole())[-1].materialize_whole()

    def run_base(self, image: Tensor) -> list[Tensor]:
        """The activations of one image [3, S, S]: [1, C, H, W] of each step, the image first."""
        first = Whole(_to_channels_last(image[None]))
        patches = self._run(first, self._plan_whole(keep=True), keep=True)
        return [patch.materialize_whole() for patch in patches]

    def run_changed(
        self, pixels: Tensor, box: Box, activations: Sequence[Tensor], margin: int | None = None
    ) -> Patch:
        """The feature maps of B images that differ from the base image only inside a box.

        Args:
            pixels: The images inside the box [B, 3, height, width].
            box: Top, left, bottom, right in pixels.
            activations: Of the base image, from `run_base`.
            margin: How far around the box cells may change, see `grow_boxes`; None is exact.
        """
        first = Changed(box, activations[0], _to_channels_last(pixels))
        return self._run(first, self._plan_changed(self.grow_boxes(box, margin), activations))[-1]

    def grow_boxes(self, box: Box, margin: int | None = None) -> list[Box | None]:
        """For the image and each step, the cells that can differ when the image does in the box.

        A margin limits the growth: a cell of any map counts as unchanged if it is more than so many
        cells away from those under the image's box.
        """
        boxes: list[Box | None] = [box]
        sizes: list[Size] = [(self.size, self.size)]
        for step in self.steps:
            inputs = [boxes[source] for source in step.inputs]
            grown = step.layer.reach(inputs, [sizes[source] for source in step.inputs], step.size)
            if margin is not None and grown is not None:
                grown = intersect(grown, scale_to_cells(box, self.size, step.size, margin))
            if grown is not None and count_cells(grown) >= _FULL * count_cells(full_box(step.size)):
                grown = full_box(step.size)
            boxes.append(grown)
            sizes.append(step.size)
        return boxes

    def count_work(self, boxes: Sequence[Box | None]) -> int:
        """Multiplications that one image needs inside the boxes; the first box is the image's."""
        pairs = zip(self.steps, boxes[1:], strict=True)
        return sum(step.cell_cost * count_cells(box) for step, box in pairs if box is not None)

    @cached_property
    def start_cost(self) -> int:
        """Multiplications that take as long as starting every step, however little it computes."""
        return sum(step.start_cost for step in self.steps)

    def _plan_whole(self, keep: bool = False) -> list[Destination | Same]:
        """Every step computes its whole map. To keep all results, none is overwritten."""
        plan: list[Destination | Same] = []
        for step in self.steps:
            box, may_overwrite = full_box(step.size), step.may_overwrite and not keep
            plan.append(Destination(box, step.size, None, box, None, may_overwrite))
        return plan

    def _plan_changed(
        self, boxes: Sequence[Box | None], activations: Sequence[Tensor]
    ) -> list[Destination | Same]:
        """Every step computes its box, or nothing where it has none."""
        plan: list[Destination | Same] = []
        for step, box, base in zip(self.steps, boxes[1:], activations[1:], strict=True):
            if box is None:
                plan.append(Same(base))
                continue
            allocation_box = boxes[step.allocation] or box  # it contains the step's own box
            allocation_base = activations[step.allocation]
            may_overwrite = step.may_overwrite and boxes[step.inputs[0]] == box
            plan.append(
                Destination(box, step.size, base, allocation_box, allocation_base, may_overwrite)
            )
        return plan

    def _run(
        self, first: Patch, plan: Sequence[Destination | Same], keep: bool = False
    ) -> list[Patch]:
        """The results of all steps; without `keep`, those that no later step reads are left out."""
        results = {0: first}
        for number, (step, planned) in enumerate(zip(self.steps, plan, strict=True), start=1):
            inputs = [results[source] for source in step.inputs]
            if isinstance(planned, Same):
                results[number] = planned
            else:
                results[number] = step.layer.apply(inputs, planned)
            for source in () if keep else step.last_reads:
                del results[source]
        return list(results.values())


def _to_channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)
