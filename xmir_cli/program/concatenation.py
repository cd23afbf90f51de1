"""Concatenation of channels."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from xmir_cli.program.boxes import Box, Size, crop, inside, union
from xmir_cli.program.layers import Boxes, Place
from xmir_cli.program.patches import Patch, blank


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
