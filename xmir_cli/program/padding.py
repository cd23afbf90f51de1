"""Constant cells around a map."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch.nn import functional

from xmir_cli.program.boxes import Box, Size, crop, full_box
from xmir_cli.program.layers import Boxes, Destination
from xmir_cli.program.patches import Patch, Same


@dataclass(frozen=True, eq=False)
class Padding:
    """Constant cells around a map: left, right, top, bottom."""

    margins: Sequence[int]
    value: float

    def reach(self, boxes: Boxes, _sizes: Sequence[Size], _size: Size, /) -> Box | None:
        (box,) = boxes
        return None if box is None else self._shift(box)

    def apply(self, inputs: Sequence[Patch], destination: Destination) -> Patch:
        (patch,) = inputs
        if not isinstance(patch, Same) and destination.box == self._shift(patch.box):
            # a clone: a later step may overwrite this result while the input is still read
            return destination.make_patch(patch.materialize(patch.box).clone())
        maps = patch.materialize(full_box(patch.size))
        padded = functional.pad(maps, list(self.margins), value=self.value)
        return destination.make_patch(crop(padded, destination.box))

    def _shift(self, box: Box) -> Box:
        left, top = self.margins[0], self.margins[2]
        return (box[0] + top, box[1] + left, box[2] + top, box[3] + left)
