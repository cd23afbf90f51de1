"""Layers that work cell by cell: functions, batch norm, arithmetic of two maps."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from xmir_cli.program.boxes import Box, Size, union, whole
from xmir_cli.program.layers import Boxes, Place
from xmir_cli.program.patches import Patch


@dataclass(frozen=True, eq=False)
class Pointwise:
    """The same function of every cell."""

    name: str
    function: Callable[[Tensor], Tensor]
    overwrite: Callable[[Tensor], Tensor]  # the same, its result may take its argument's memory

    def reach(self, boxes: Boxes, _sizes: Sequence[Size], _size: Size, /) -> Box | None:
        return boxes[0]

    def apply(self, inputs: Sequence[Patch], place: Place) -> Patch:
        function = self.overwrite if place.reuse else self.function
        return Patch(function(inputs[0].over(place.box)), place.box, place.base)


@dataclass(frozen=True, eq=False)
class Affine:
    """BatchNorm in eval mode: scale and shift of each channel."""

    scale: Tensor  # [C]
    shift: Tensor  # [C]

    def reach(self, boxes: Boxes, _sizes: Sequence[Size], _size: Size, /) -> Box | None:
        return boxes[0]

    def apply(self, inputs: Sequence[Patch], place: Place) -> Patch:
        scale, shift = self.scale[:, None, None], self.shift[:, None, None]
        values = torch.addcmul(shift, inputs[0].over(place.box), scale)
        return Patch(values, place.box, place.base)


@dataclass(frozen=True, eq=False)
class Arithmetic:
    """A sum or product of two maps, one of which may be a single cell that goes with all."""

    function: Callable[[Tensor, Tensor], Tensor]

    def reach(self, boxes: Boxes, sizes: Sequence[Size], size: Size, /) -> Box | None:
        first, second = (
            box if box is None or own == size else whole(size)
            for box, own in zip(boxes, sizes, strict=True)
        )
        return union(first, second)

    def apply(self, inputs: Sequence[Patch], place: Place) -> Patch:
        first, second = (
            patch.over(place.box if patch.size == place.size else whole(patch.size))
            for patch in inputs
        )
        return Patch(self.function(first, second), place.box, place.base)
