"""Layers that work cell by cell: functions, batch norm, arithmetic of two maps."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from xmir_cli.program.boxes import Box, Size, enclose, full_box
from xmir_cli.program.layers import Boxes, Destination
from xmir_cli.program.patches import Patch


@dataclass(frozen=True, eq=False)
class Pointwise:
    """The same function of every cell."""

    name: str
    function: Callable[[Tensor], Tensor]
    overwrite: Callable[[Tensor], Tensor]  # the same; its result may take its argument's memory

    def reach(self, boxes: Boxes, _sizes: Sequence[Size], _size: Size, /) -> Box | None:
        return boxes[0]

    def apply(self, inputs: Sequence[Patch], destination: Destination) -> Patch:
        function = self.overwrite if destination.may_overwrite else self.function
        return destination.make_patch(function(inputs[0].materialize(destination.box)))


@dataclass(frozen=True, eq=False)
class Affine:
    """BatchNorm in eval mode: scale and shift of each channel."""

    scale: Tensor  # [C]
    shift: Tensor  # [C]

    def reach(self, boxes: Boxes, _sizes: Sequence[Size], _size: Size, /) -> Box | None:
        return boxes[0]

    def apply(self, inputs: Sequence[Patch], destination: Destination) -> Patch:
        scale, shift = self.scale[:, None, None], self.shift[:, None, None]
        maps = inputs[0].materialize(destination.box)
        return destination.make_patch(torch.addcmul(shift, maps, scale))


@dataclass(frozen=True, eq=False)
class Arithmetic:
    """Sum, difference, product or quotient of two maps.

    Where one of them has a single cell, that cell is combined with every cell of the other.
    """

    function: Callable[[Tensor, Tensor], Tensor]

    def reach(self, boxes: Boxes, sizes: Sequence[Size], size: Size, /) -> Box | None:
        first, second = (
            box if box is None or own == size else full_box(size)
            for box, own in zip(boxes, sizes, strict=True)
        )
        return enclose(first, second)

    def apply(self, inputs: Sequence[Patch], destination: Destination) -> Patch:
        first, second = (
            patch.materialize(
                destination.box if patch.size == destination.size else full_box(patch.size)
            )
            for patch in inputs
        )
        return destination.make_patch(self.function(first, second))
