"""Pooling over sliding windows and over whole maps."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch.nn import functional

from xmir_cli.program.boxes import Box, Size, whole
from xmir_cli.program.kernel import Kernel, find_gaps
from xmir_cli.program.layers import Boxes, Place
from xmir_cli.program.patches import Patch


@dataclass(frozen=True, eq=False)
class Pooling:
    """Maximum or mean of a sliding window; padding counts as minus infinity or as zero."""

    largest: bool
    kernel: Kernel

    def reach(self, boxes: Boxes, _sizes: Sequence[Size], size: Size, /) -> Box | None:
        return self.kernel.reach(boxes[0], size)

    def apply(self, inputs: Sequence[Patch], place: Place) -> Patch:
        (patch,) = inputs
        height, width = patch.size
        seen = self.kernel.find_field(place.box)
        known = (max(0, seen[0]), max(0, seen[1]), min(height, seen[2]), min(width, seen[3]))
        maps = patch.over(known)
        if seen != known:
            outside = float("-inf") if self.largest else 0.0
            maps = functional.pad(maps, find_gaps(seen, known), value=outside)
        size, stride = self.kernel.size, self.kernel.stride
        if self.largest:
            values = functional.max_pool2d(maps, size, stride, 0, self.kernel.dilation)
        else:
            values = functional.avg_pool2d(maps, size, stride)
        return Patch(values, place.box, place.base)


@dataclass(frozen=True, eq=False)
class GlobalMean:
    """The mean of all cells, as a map of one cell."""

    def reach(self, boxes: Boxes, _sizes: Sequence[Size], size: Size, /) -> Box | None:
        return None if boxes[0] is None else whole(size)

    def apply(self, inputs: Sequence[Patch], place: Place) -> Patch:
        (patch,) = inputs
        values = patch.over(whole(patch.size)).mean(dim=(2, 3), keepdim=True)
        return Patch(values, place.box, place.base)
