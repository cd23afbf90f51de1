"""1x1 convolutions: one matrix product over all cells, with what is done cell by cell around it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from xmir_cli.program.boxes import Box, Size
from xmir_cli.program.layers import Boxes, Place
from xmir_cli.program.patches import Patch
from xmir_cli.program.pointwise import Pointwise


@dataclass(frozen=True, eq=False)
class PointConvolution:
    """after(weight @ before(cell) + bias), so that three steps are one."""

    weight: Tensor  # [out, in, 1, 1]
    bias: Tensor | None
    before: Pointwise | None = None
    after: Pointwise | None = None

    def reach(self, boxes: Boxes, _sizes: Sequence[Size], _size: Size, /) -> Box | None:
        return boxes[0]

    def apply(self, inputs: Sequence[Patch], place: Place) -> Patch:
        maps = inputs[0].over(place.box)
        if self.before is not None:
            maps = (self.before.overwrite if place.reuse else self.before.function)(maps)
        values = self._product(maps)
        if self.after is not None:
            values = self.after.overwrite(values)
        return Patch(values, place.box, place.base)

    @cached_property
    def _matrix(self) -> Tensor:
        """The weights [in, out] in the order that the product reads them."""
        return self.weight.flatten(1).t().contiguous()

    def _product(self, maps: Tensor) -> Tensor:
        """Faster than the general convolution where the cells lie one behind the other."""
        cells = maps.permute(0, 2, 3, 1)
        if not cells.is_contiguous() or self.bias is None:
            return functional.conv2d(maps, self.weight, self.bias)
        count, height, width, channels = cells.shape
        rows = torch.addmm(self.bias, cells.view(-1, channels), self._matrix)
        return rows.view(count, height, width, -1).permute(0, 3, 1, 2)
