"""1x1 convolutions: one matrix product over all cells, with the functions before and after it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from xmir_cli.program.boxes import Box, Size
from xmir_cli.program.layers import Boxes, Destination
from xmir_cli.program.patches import Patch
from xmir_cli.program.pointwise import Pointwise


@dataclass(frozen=True, eq=False)
class PointConvolution:
    """after(weight @ before(cell) + bias): three layers in one step."""

    weight: Tensor  # [out, in, 1, 1]
    bias: Tensor | None
    before: Pointwise | None = None
    after: Pointwise | None = None

    def reach(self, boxes: Boxes, _sizes: Sequence[Size], _size: Size, /) -> Box | None:
        return boxes[0]

    def apply(self, inputs: Sequence[Patch], destination: Destination) -> Patch:
        maps = inputs[0].materialize(destination.box)
        if self.before is not None:
            before = self.before
            maps = (before.overwrite if destination.may_overwrite else before.function)(maps)
        cells = self._multiply(maps)
        if self.after is not None:
            cells = self.after.overwrite(cells)
        return destination.make_patch(cells)

    @cached_property
    def _matrix(self) -> Tensor:
        """The weights [in, out] in the order in which the product reads them."""
        return self.weight.flatten(1).t().contiguous()

    def _multiply(self, maps: Tensor) -> Tensor:
        """The product of every cell; contiguous cells take a faster way than conv2d."""
        cells = maps.permute(0, 2, 3, 1)
        if not cells.is_contiguous() or self.bias is None:
            return functional.conv2d(maps, self.weight, self.bias)
        count, height, width, channels = cells.shape
        rows = torch.addmm(self.bias, cells.view(-1, channels), self._matrix)
        return rows.view(count, height, width, -1).permute(0, 3, 1, 2)
