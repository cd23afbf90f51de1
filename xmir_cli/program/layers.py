"""What every layer of a program can do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from xmir_cli.program.boxes import Box, Size
from xmir_cli.program.patches import Patch

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
