"""Convolutions. They are linear: a difference to the base goes in, a difference comes out."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from xmir_cli.program.boxes import Box, Size, full_box
from xmir_cli.program.kernel import Kernel, PerAxis, find_gaps
from xmir_cli.program.layers import Boxes, Destination
from xmir_cli.program.patches import Changed, Patch


@dataclass(frozen=True, eq=False)
class Convolution:
    """A convolution with zero padding."""

    weight: Tensor  # [out, in / groups, height, width]
    bias: Tensor | None
    kernel: Kernel
    groups: int

    @property
    def is_point(self) -> bool:
        """Whether each cell is one matrix product, which `PointConvolution` does faster."""
        return self.kernel.is_point and self.groups == 1

    def reach(self, boxes: Boxes, _sizes: Sequence[Size], size: Size, /) -> Box | None:
        return self.kernel.reach(boxes[0], size)

    def apply(self, inputs: Sequence[Patch], destination: Destination) -> Patch:
        (patch,) = inputs
        box, base = destination.box, destination.base
        if base is None or box == full_box(destination.size) or not isinstance(patch, Changed):
            maps = patch.materialize(full_box(patch.size))
            return destination.make_patch(self._slide(maps, self.bias, self.kernel.padding))
        return Changed(box, base, self._slide_difference(patch, box), is_difference=True)

    def _slide_difference(self, patch: Changed, box: Box) -> Tensor:
        difference, gaps = patch.subtract_base(), find_gaps(self.kernel.find_field(box), patch.box)
        left, right, top, bottom = gaps
        if left == right >= 0 and top == bottom >= 0:  # the common case, without a copy
            return self._slide(difference, None, (top, left))
        return self._slide(functional.pad(difference, gaps), None, (0, 0))

    def _slide(self, maps: Tensor, bias: Tensor | None, padding: PerAxis) -> Tensor:
        kernel = self.kernel
        return functional.conv2d(
            maps, self.weight, bias, kernel.stride, padding, kernel.dilation, self.groups
        )
