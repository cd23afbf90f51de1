"""Kernels: how a window slides over a map, which cells it reads and which cells read them."""

from dataclasses import dataclass

from xmir_cli.program.boxes import Box, Size

PerAxis = tuple[int, int]  # vertical, horizontal


@dataclass(frozen=True)
class Kernel:
    """How a window slides over a map."""

    size: PerAxis
    stride: PerAxis
    padding: PerAxis
    dilation: PerAxis

    @property
    def is_point(self) -> bool:
        """Whether each cell of the result reads only the cell at its own place."""
        return self.size == (1, 1) and self.stride == (1, 1) and self.padding == (0, 0)

    def reach(self, box: Box | None, size: Size) -> Box | None:
        """The cells of a result of the given size whose windows touch the box."""
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

    def find_field(self, box: Box) -> Box:
        """The cells that a box of the result reads; those outside the map are padding."""
        low, high = [], []
        for axis in (0, 1):
            stride, padding = self.stride[axis], self.padding[axis]
            low.append(box[axis] * stride - padding)
            last = (box[axis + 2] - 1) * stride - padding
            high.append(last + self.dilation[axis] * (self.size[axis] - 1) + 1)
        return (low[0], low[1], high[0], high[1])


def find_gaps(outer: Box, inner: Box) -> list[int]:
    """How far the outer box is from the inner one: left, right, top, bottom."""
    return [inner[1] - outer[1], outer[3] - inner[3], inner[0] - outer[0], outer[2] - inner[2]]
