"""Concatenation of channels."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from xmir_cli.program.boxes import Box, Size, crop, enclose, shift_into
from xmir_cli.program.layers import Boxes, Destination
from xmir_cli.program.patches import Patch, Same, allocate


@dataclass(frozen=True, eq=False)
class Concatenation:
    """The channels of several maps, one after the other, in one allocation.

    A concatenation that starts with all inputs of an earlier one extends it: the earlier one lies
    in the same allocation already, and only the other inputs are written.
    """

    channels: int  # of the allocation, which is those of the longest concatenation in it
    is_extension: bool = False  # the first input is the concatenation that this one extends

    def reach(self, boxes: Boxes, _sizes: Sequence[Size], _size: Size, /) -> Box | None:
        joined: Box | None = None
        for box in boxes:
            joined = enclose(joined, box)
        return joined

    def apply(self, inputs: Sequence[Patch], destination: Destination) -> Patch:
        allocation, done = self._find_allocation(inputs, destination)
        for patch in inputs[1:] if done else inputs:
            channels = allocation[:, done : done + patch.channels]
            patch.write_into(channels, destination.allocation_box)
            done += patch.channels
        box = shift_into(destination.box, destination.allocation_box)
        return destination.make_patch(crop(allocation[:, :done], box), allocation)

    def _find_allocation(
        self, inputs: Sequence[Patch], destination: Destination
    ) -> tuple[Tensor, int]:
        """The memory, which holds the base image's channels, and how many channels are written."""
        first = inputs[0]
        if self.is_extension and not isinstance(first, Same) and first.allocation is not None:
            return first.allocation, first.channels
        count, box = max(patch.count for patch in inputs), destination.allocation_box
        allocation = allocate(count, self.channels, box)
        if destination.allocation_base is not None:
            allocation.copy_(crop(destination.allocation_base, box))
        return allocation, 0
