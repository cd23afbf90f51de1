"""Feature maps of a batch, held only where they differ from those of a base image."""

from dataclasses import dataclass

import torch
from torch import Tensor

from xmir_cli.program.boxes import Box, Size, crop, inside, intersection, union, whole


def blank(count: int, channels: int, box: Box) -> Tensor:
    """Memory for maps of a box's size, channels last."""
    shape = (count, channels, box[2] - box[0], box[3] - box[1])
    return torch.empty(shape, memory_format=torch.channels_last)


@dataclass(eq=False)
class Patch:
    """Feature maps of a batch, held only where they differ from those of one base image.

    Without a base the box is the whole map; without a box nothing differs.
    """

    held: Tensor | None  # [B, C, height and width of the box]
    box: Box | None
    base: Tensor | None  # [1, C, H, W]
    buffer: Tensor | None = None  # memory that `held` is a part of, with room for more channels
    is_change: bool = False  # what is held lacks the base, which is added where it is wanted

    @property
    def values(self) -> Tensor | None:
        """The maps inside the box [B, C, height, width]."""
        if self.is_change:
            assert self.held is not None
            assert self.box is not None
            assert self.base is not None
            self.held.add_(crop(self.base, self.box))
            self.is_change = False
        return self.held

    @property
    def size(self) -> Size:
        """Of the whole maps."""
        maps = self.held if self.base is None else self.base
        assert maps is not None
        return (maps.shape[2], maps.shape[3])

    @property
    def channels(self) -> int:
        """C."""
        maps = self.held if self.base is None else self.base
        assert maps is not None
        return maps.shape[1]

    @property
    def maps(self) -> Tensor:
        """The whole maps, [1, C, H, W] where nothing differs; memory that is nobody else's."""
        maps = self.over(whole(self.size))
        return maps if self.box else maps.clone()

    def over(self, box: Box) -> Tensor:
        """The maps inside any box, base values where nothing differs; may be a view.

        The batch has length 1 where nothing differs at all.
        """
        if self.held is None or self.box is None:
            assert self.base is not None
            return crop(self.base, box)
        if union(box, self.box) == self.box:
            assert self.values is not None
            return self.values if box == self.box else crop(self.values, inside(box, self.box))
        assert self.base is not None
        target = blank(len(self.held), self.channels, box)
        self.put(target.copy_(crop(self.base, box)), box)
        return target

    def put(self, target: Tensor, box: Box) -> None:
        """Put what differs into the target, maps of the given box that hold the base there."""
        shared = self.box and intersection(self.box, box)
        if shared is None:
            return
        assert self.held is not None
        assert self.box is not None
        here = crop(target, inside(shared, box))
        maps = crop(self.held, inside(shared, self.box))
        if self.is_change:
            here.add_(maps)
        else:
            here.copy_(maps)

    def change(self) -> Tensor:
        """What differs, as a difference to the base: [B, C, height and width of the box]."""
        assert self.held is not None
        assert self.box is not None
        assert self.base is not None
        return self.held if self.is_change else self.held - crop(self.base, self.box)
