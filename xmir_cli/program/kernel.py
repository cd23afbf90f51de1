"""How a sliding window moves over a map, and which cells see which."""

from dataclasses import dataclass

from xmir_cli.program.boxes import Box, Size

PerAxis = tuple[int, int]  # vertical, horizontal


@dataclass(frozen=True)
class Kernel:
    """How a sliding window moves over a map; vertical, then horizontal."""

    size: PerAxis
    stride: PerAxis
    padding: PerAxis
    dilation: PerAxis

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

    def find_field(self, box: Box) -> Box:
        """The receptive field of a box of the result; cells outside the map are padding."""
        low, high = [], []
        for axis in (0, 1):
            stride, padding = self.stride[axis], self.padding[axis]
            low.append(box[axis] * stride - padding)
            last = (box[axis + 2] - 1) * stride - padding
            high.append(last + self.dilation[axis] * (self.size[axis] - 1) + 1)
        return (low[0], low[1], high[0], high[1])


def find_gaps(outer: Box, inner: Box) -> list[int]:
    """What lies between two boxes: left, right, top, bottom."""
    return [inner[1] - outer[1], outer[3] - inner[3], inner[0] - outer[0], outer[2] - inner[2]]
