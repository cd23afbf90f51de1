"""Constant cells around a map."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch.nn import functional

from xmir_cli.program.boxes import Box, Size, crop, whole
from xmir_cli.program.layers import Boxes, Place
from xmir_cli.program.patches import Patch


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
