"""Feature maps of a batch: whole, changed from a base image inside a box, or the same as the base.

All three give their values through `materialize`. Where nothing differs, these are the base's.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from xmir_cli.program.boxes import Box, Size, crop, enclose, full_box, intersect, shift_into


@dataclass(frozen=True, eq=False)
class Whole:
    """Maps without a base."""

    maps: Tensor  # [B, C, H, W]
    allocation: Tensor | None = None  # the memory they lie in, with space for more channels

    @property
    def box(self) -> Box:
        return full_box(self.size)

    @property
    def size(self) -> Size:
        return _size_of(self.maps)

    @property
    def channels(self) -> int:
        return self.maps.shape[1]

    @property
    def count(self) -> int:
        return len(self.maps)

    def materialize(self, box: Box) -> Tensor:
        """The maps inside a box: a view."""
        return self.maps if box == self.box else crop(self.maps, box)

    def write_into(self, target: Tensor, target_box: Box) -> None:
        """Copy the maps into the target, which is the given box of them."""
        target.copy_(self.materialize(target_box))

    def materialize_whole(self) -> Tensor:
        """The whole maps [B, C, H, W]."""
        return self.maps


@dataclass(eq=False)
class Changed:
    """Maps that differ from the base inside a box. Only the cells of the box are held.

    A convolution gives differences to the base. They stay differences until `materialize` is first
    asked for values; it then adds the base in the same memory.
    """

    box: Box
    base: Tensor  # [1, C, H, W]
    cells: Tensor  # [B, C, height and width of the box]
    is_difference: bool = False  # the cells lack the base
    allocation: Tensor | None = None  # the memory they lie in, with space for more channels

    @property
    def size(self) -> Size:
        return _size_of(self.base)

    @property
    def channels(self) -> int:
        return self.base.shape[1]

    @property
    def count(self) -> int:
        return len(self.cells)

    def materialize(self, box: Box) -> Tensor:
        """The maps inside any box: a view of the held cells where these suffice."""
        if enclose(box, self.box) == self.box:
            self._add_base()
            return self.cells if box == self.box else crop(self.cells, shift_into(box, self.box))
        target = allocate(self.count, self.channels, box)
        self.write_into(target.copy_(crop(self.base, box)), box)
        return target

    def write_into(self, target: Tensor, target_box: Box) -> None:
        """Put what differs into the target, the given box of maps that holds the base there."""
        shared = intersect(self.box, target_box)
        if shared is None:
            return
        there = crop(target, shift_into(shared, target_box))
        cells = crop(self.cells, shift_into(shared, self.box))
        if self.is_difference:
            there.add_(cells)
        else:
            there.copy_(cells)

    def materialize_whole(self) -> Tensor:
        """The whole maps [B, C, H, W]."""
        return self.materialize(full_box(self.size))

    def subtract_base(self) -> Tensor:
        """The differences to the base inside the box [B, C, height, width]."""
        return self.cells if self.is_difference else self.cells - crop(self.base, self.box)

    def _add_base(self) -> None:
        """Make the held cells values, if they are differences."""
        if self.is_difference:
            self.cells.add_(crop(self.base, self.box))
            self.is_difference = False


@dataclass(frozen=True, eq=False)
class Same:
    """Maps that equal the base in every cell: one map stands for the whole batch."""

    base: Tensor  # [1, C, H, W]

    @property
    def size(self) -> Size:
        return _size_of(self.base)

    @property
    def channels(self) -> int:
        return self.base.shape[1]

    @property
    def count(self) -> int:
        return 1

    def materialize(self, box: Box) -> Tensor:
        """The base inside a box: a view."""
        return crop(self.base, box)

    def write_into(self, target: Tensor, target_box: Box) -> None:
        """Do nothing: the target holds the base already."""

    def materialize_whole(self) -> Tensor:
        """A copy of the base [1, C, H, W]."""
        return self.base.clone()


Patch = Whole | Changed | Same


def allocate(count: int, channels: int, box: Box) -> Tensor:
    """Memory for maps of a box's size, channels last."""
    shape = (count, channels, box[2] - box[0], box[3] - box[1])
    return torch.empty(shape, memory_format=torch.channels_last)


def _size_of(maps: Tensor) -> Size:
    return (maps.shape[2], maps.shape[3])
