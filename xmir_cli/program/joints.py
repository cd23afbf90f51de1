"""Layers beside convolution and pooling: cell by cell, joining maps, averaging whole ones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from xmir_cli.program.layers import Boxes, Place
from xmir_cli.program.patches import Box, Patch, Size, blank, crop, inside, union, whole


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
class Combination:
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


@dataclass(frozen=True, eq=False)
class Concatenation:
    """Channels side by side in one memory, which a longer row that starts alike takes over."""

    channels: int  # of the longest row in that memory
    extends: bool = False  # the first input is such a row, already in place

    def reach(self, boxes: Boxes, _sizes: Sequence[Size], _size: Size, /) -> Box | None:
        joined: Box | None = None
        for box in boxes:
            joined = union(joined, box)
        return joined

    def apply(self, inputs: Sequence[Patch], place: Place) -> Patch:
        buffer, done = self._memory(inputs, place)
        for patch in inputs[1:] if done else inputs:
            patch.put(buffer[:, done : done + patch.channels], place.room)
            done += patch.channels
        values = crop(buffer[:, :done], inside(place.box, place.room))
        return Patch(values, place.box, place.base, buffer)

    def _memory(self, inputs: Sequence[Patch], place: Place) -> tuple[Tensor, int]:
        """The memory, holding the base image's row, and how many of its channels are done."""
        if self.extends and inputs[0].buffer is not None:
            return inputs[0].buffer, inputs[0].channels
        count = max(1 if patch.held is None else len(patch.held) for patch in inputs)
        memory = blank(count, self.channels, place.room)
        return memory if place.row is None else memory.copy_(crop(place.row, place.room)), 0


@dataclass(frozen=True, eq=False)
class Padding:
    """Constant cells around a map: left, right, top, bottom."""

    margins: Sequence[int]
    value: float

    def reach(self, boxes: Boxes, _sizes: Sequence[Size], _size: Size, /) -> Box | None:
        (box,) = boxes
        if box is None:
            return None
        left, top = self.margins[0], self.margins[2]
        return (box[0] + top, box[1] + left, box[2] + top, box[3] + left)

    def apply(self, inputs: Sequence[Patch], place: Place) -> Patch:
        (patch,) = inputs
        if place.box == self.reach([patch.box], [], place.size):
            assert patch.values is not None
            return Patch(patch.values.clone(), place.box, place.base)  # who pads keeps its own
        maps = patch.over(whole(patch.size))
        values = functional.pad(maps, list(self.margins), value=self.value)
        return Patch(crop(values, place.box), place.box, place.base)


@dataclass(frozen=True, eq=False)
class Mean:
    """The mean of all cells, as a map of one cell."""

    def reach(self, boxes: Boxes, _sizes: Sequence[Size], size: Size, /) -> Box | None:
        return None if boxes[0] is None else whole(size)

    def apply(self, inputs: Sequence[Patch], place: Place) -> Patch:
        (patch,) = inputs
        values = patch.over(whole(patch.size)).mean(dim=(2, 3), keepdim=True)
        return Patch(values, place.box, place.base)
