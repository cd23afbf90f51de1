"""What every layer of a program can do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from xmir_cli.program.boxes import Box, Size
from xmir_cli.program.patches import Changed, Patch, Whole

Boxes = Sequence[Box | None]


@dataclass(frozen=True, eq=False)
class Destination:
    """Which cells of its result a layer computes, and which memory it may use for them.

    A concatenation is allocated with space for the longest one that extends it.
    """

    box: Box  # the cells to compute
    size: Size  # of the whole map
    base: Tensor | None  # the result for the base image [1, C, H, W]; None: there is no base
    allocation_box: Box  # the cells of the longest concatenation
    allocation_base: Tensor | None  # its result for the base image
    may_overwrite: bool  # the first input's memory may take the result

    def make_patch(self, cells: Tensor, allocation: Tensor | None = None) -> Whole | Changed:
        """The result as a patch, from its values inside the box."""
        if self.base is None:
            return Whole(cells, allocation)
        return Changed(self.box, self.base, cells, allocation=allocation)


class Layer(Protocol):
    """A pure function of feature maps."""

    def reach(self, boxes: Boxes, sizes: Sequence[Size], size: Size, /) -> Box | None:
        """The cells of a result of `size` that can differ when the inputs do inside `boxes`."""

    def apply(self, inputs: Sequence[Patch], destination: Destination) -> Patch:
        """The result inside the destination's box, which contains the cells of `reach`."""
