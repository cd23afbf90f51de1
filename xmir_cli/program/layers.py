"""The layers of a recorded network, each able to compute only the cells that can differ."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor
from torch.nn import functional

from xmir_cli.program.patches import Box, Patch, Size, whole

Pair = tuple[int, int]
Boxes = Sequence[Box | None]


@dataclass(frozen=True)
class Place:
    """Where a layer's result goes."""

    box: Box  # of the result
    size: Size  # of the whole map
    base: Tensor | None  # the result for the base image [1, C, H, W]
    room: Box  # the box of the last concatenation that shares this one's memory
    row: Tensor | None  # what that one is for the base image
    reuse: bool  # the first input is not needed again and its memory may be taken


class Layer(Protocol):
    """A pure function of feature maps."""

    def reach(self, boxes: Boxes, sizes: Sequence[Size], size: Size, /) -> Box | None:
        """The cells of a result of `size` that can differ when the inputs do inside `boxes`."""

    def apply(self, inputs: Sequence[Patch], place: Place) -> Patch:
        """The result over the place's box, which contains what `reach` says."""


@dataclass(frozen=True)
class Kernel:
    """How a sliding window moves over a map; vertical, then horizontal."""

    size: Pair
    stride: Pair
    padding: Pair
    dilation: Pair

    @property
    def is_point(self) -> bool:
        """Each cell of the result sees the one cell at its own place."""
        return self.size == (1, 1) and self.stride == (1, 1) and self.padding == (0, 0)

    def reach(self, box: Box | None, size: Size) -> Box | None:
        """The windows that touch a box, clipped to a result of the given size."""
        if box is None:
            return None
        low, high = [], []
        for axis in (0, 1):
            start, end, stride = box[axis], box[axis + 2], self.stride[axis]
            before = self.dilation[axis] * (self.size[axis] - 1) - self.padding[axis]
            low.append(max(0, -((before - start) // stride)))
            high.append(min(size[axis], (end - 1 + self.padding[axis]) // stride + 1))
        if low[0] >= high[0] or low[1] >= high[1]:
            return None
        return (low[0], low[1], high[0], high[1])

    def sees(self, box: Box) -> Box:
        """The cells under the windows of a box of the result; outside the map is padding."""
        low, high = [], []
        for axis in (0, 1):
            stride, padding = self.stride[axis], self.padding[axis]
            low.append(box[axis] * stride - padding)
            last = (box[axis + 2] - 1) * stride - padding
            high.append(last + self.dilation[axis] * (self.size[axis] - 1) + 1)
        return (low[0], low[1], high[0], high[1])


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
            change, gaps = patch.change(), _gaps(self.kernel.sees(place.box), patch.box)
            left, right, top, bottom = gaps
            if left == right >= 0 and top == bottom >= 0:  # most, and no copy
                values = self._slide(change, None, (top, left))
            else:
                values = self._slide(functional.pad(change, gaps), None, (0, 0))
            return Patch(values, place.box, place.base, is_change=True)
        return Patch(values, place.box, place.base)

    def _slide(self, maps: Tensor, bias: Tensor | None, padding: Pair) -> Tensor:
        kernel = self.kernel
        return functional.conv2d(
            maps, self.weight, bias, kernel.stride, padding, kernel.dilation, self.groups
        )


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
        seen = self.kernel.sees(place.box)
        known = (max(0, seen[0]), max(0, seen[1]), min(height, seen[2]), min(width, seen[3]))
        maps = patch.over(known)
        if seen != known:
            outside = float("-inf") if self.largest else 0.0
            maps = functional.pad(maps, _gaps(seen, known), value=outside)
        size, stride = self.kernel.size, self.kernel.stride
        if self.largest:
            values = functional.max_pool2d(maps, size, stride, 0, self.kernel.dilation)
        else:
            values = functional.avg_pool2d(maps, size, stride)
        return Patch(values, place.box, place.base)


def _gaps(outer: Box, inner: Box) -> list[int]:
    """What lies between two boxes: left, right, top, bottom."""
    return [inner[1] - outer[1], outer[3] - inner[3], inner[0] - outer[0], outer[2] - inner[2]]
