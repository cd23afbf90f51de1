"""Parts of feature maps: rectangles of cells, and the values that differ inside them."""

from dataclasses import dataclass

import torch
from torch import Tensor

Size = tuple[int, int]  # height, width in cells
Box = tuple[int, int, int, int]  # top, left, bottom, right in cells; bottom and right excluded


def whole(size: Size) -> Box:
    """The box that is the entire map."""
    return (0, 0, *size)


def area(box: Box) -> int:
    """How many cells a box has."""
    return (box[2] - box[0]) * (box[3] - box[1])


def union(first: Box | None, second: Box | None) -> Box | None:
    """The smallest box around both; None is the box without cells."""
    if first is None or second is None:
        return first or second
    low = (min(first[0], second[0]), min(first[1], second[1]))
    return (*low, max(first[2], second[2]), max(first[3], second[3]))


def intersection(first: Box, second: Box) -> Box | None:
    """The cells that both boxes have."""
    top, left = max(first[0], second[0]), max(first[1], second[1])
    bottom, right = min(first[2], second[2]), min(first[3], second[3])
    return (top, left, bottom, right) if top < bottom and left < right else None


def around(box: Box, pixels: int, size: Size, margin: int) -> Box:
    """The cells of a map under a box of the image [pixels, pixels], and `margin` more each way."""
    (top, left, bottom, right), (height, width) = box, size
    return (
        max(0, top * height // pixels - margin),
        max(0, left * width // pixels - margin),
        min(height, -(-bottom * height // pixels) + margin),
        min(width, -(-right * width // pixels) + margin),
    )


def crop(maps: Tensor, box: Box) -> Tensor:
    """The view of maps [B, C, H, W] that the box cuts out."""
    top, left, bottom, right = box
    return maps[:, :, top:bottom, left:right]


def inside(box: Box, frame: Box) -> Box:
    """The box in the coordinates of a frame that contains it."""
    top, left = frame[:2]
    return (box[0] - top, box[1] - left, box[2] - top, box[3] - left)


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
