"""Pooling over sliding windows and over whole maps."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch.nn import functional

from xmir_cli.program.boxes import Box, Size, full_box
from xmir_cli.program.kernel import Kernel, find_gaps
from xmir_cli.program.layers import Boxes, Destination
from xmir_cli.program.patches import Patch


@dataclass(frozen=True, eq=False)
class Pooling:
    """Maximum or mean of a sliding window; padding counts as minus infinity or as zero."""

    largest: bool
    kernel: Kernel

    def reach(self, boxes: Boxes, _sizes: Sequence[Size], size: Size, /) -> Box | None:
        return self.kernel.reach(boxes[0], size)

    def apply(self, inputs: Sequence[Patch], destination: Destination) -> Patch:
        (patch,) = inputs
        height, width = patch.size
        field = self.kernel.find_field(destination.box)
        within = (max(0, field[0]), max(0, field[1]), min(height, field[2]), min(width, field[3]))
        maps = patch.materialize(within)
        if field != within:
            outside = float("-inf") if self.largest else 0.0
            maps = functional.pad(maps, find_gaps(field, within), value=outside)
        size, stride = self.kernel.size, self.kernel.stride
        if self.largest:
            cells = functional.max_pool2d(maps, size, stride, 0, self.kernel.dilation)
        else:
            cells = functional.avg_pool2d(maps, size, stride)
        return destination.make_patch(cells)


@dataclass(frozen=True, eq=False)
class GlobalMean:
    """The mean of all cells, as a map of one cell."""

    def reach(self, boxes: Boxes, _sizes: Sequence[Size], size: Size, /) -> Box | None:
        return None if boxes[0] is None else full_box(size)

    def apply(self, inputs: Sequence[Patch], destination: Destination) -> Patch:
        (patch,) = inputs
        maps = patch.materialize(full_box(patch.size))
        return destination.make_patch(maps.mean(dim=(2, 3), keepdim=True))
