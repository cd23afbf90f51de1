"""Convolutions: of a difference to the base they make the difference in the result."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from xmir_cli.program.boxes import Box, Size, whole
from xmir_cli.program.kernel import Kernel, PerAxis, find_gaps
from xmir_cli.program.layers import Boxes, Place
from xmir_cli.program.patches import Patch


@dataclass(frozen=True, eq=False)
class Convolution:
    """A convolution with zero padding."""

    weight: Tensor  # [out, in / groups, height, width]
    bias: Tensor | None
    kernel: Kernel
    groups: int

    @property
    def is_point(self) -> bool:
        """A matrix product a cell: what `Product` does faster."""
        return self.kernel.is_point and self.groups == 1

    def reach(self, boxes: Boxes, _sizes: Sequence[Size], size: Size, /) -> Box | None:
        return self.kernel.reach(boxes[0], size)

    def apply(self, inputs: Sequence[Patch], place: Place) -> Patch:
        (patch,) = inputs
        if place.box == whole(place.size):
            maps = patch.over(whole(patch.size))
            values = self._slide(maps, self.bias, self.kernel.padding)
        else:
            # a convolution is linear: of a change it makes the change
            assert patch.box is not None
            assert place.base is not None
            change, gaps = patch.change(), find_gaps(self.kernel.find_field(place.box), patch.box)
            left, right, top, bottom = gaps
            if left == right >= 0 and top == bottom >= 0:  # most, and no copy
                values = self._slide(change, None, (top, left))
            else:
                values = self._slide(functional.pad(change, gaps), None, (0, 0))
            return Patch(values, place.box, place.base, is_change=True)
        return Patch(values, place.box, place.base)

    def _slide(self, maps: Tensor, bias: Tensor | None, padding: PerAxis) -> Tensor:
        kernel = self.kernel
        return functional.conv2d(
            maps, self.weight, bias, kernel.stride, padding, kernel.dilation, self.groups
        )
