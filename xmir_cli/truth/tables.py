"""Masks and boxes that stand in tables of their own, a row each; an image may have several."""

import math
import os
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import TypeGuard

import numpy as np

from xmir_cli.arrays import Booleans
from xmir_cli.causes import Cause
from xmir_cli.errors import DataError, ItemError
from xmir_cli.store.manifest import Names
from xmir_cli.truth.marks import Drawn, MarkedImage
from xmir_cli.truth.masks import read_shapes
from xmir_cli.truth.names import NameBook
from xmir_cli.truth.rows import read_rows
from xmir_cli.wire.records import LARGEST, Record

PixelBox = tuple[float, float, float, float]  # left, top, width, height in pixels of the original

_SIDES = (("x", "left"), ("y", "top"), ("w", "width"), ("h", "height"))
_BEYOND = 1.0  # pixels that a box may reach beyond its image, for it was rounded


class MaskTable:
    """The masks in the column `mask` of a table, found from the table's folder."""

    def __init__(self, path: Path, names: Names) -> None:
        self._path = path
        self._book: NameBook[Record] = NameBook()
        for number, row in enumerate(read_rows(path, names), 1):
            if "mask" not in row:
                raise DataError(
                    f"{path}: expected a column 'mask', found {', '.join(row)}",
                    "Name it with `columns` mask=COLUMN.",
                )
            if not isinstance(row["mask"], str | None):
                raise DataError(f"{path}: row {number}: mask: expected a file")
            self._book.add(str(row["path"]), row)

    def of(self, image: MarkedImage, size: tuple[int, int]) -> Iterable[Drawn] | None:
        """The masks of an image."""
        rows = self._book.find(image.name)
        found = [(row, str(row["mask"])) for row in rows or () if row["mask"]]
        if not found:
            return None
        return (
            shape
            for row, mask in found
            for shape in read_shapes(os.path.join(self._path.parent, mask), image.name, size, row)  # noqa: PTH118
        )

    def asks(self, image: MarkedImage) -> Hashable:
        """The image's name."""
        return image.name

    def meets(self, image: MarkedImage) -> bool:  # noqa: ARG002 # as the protocol has it
        """Any image has a name."""
        return True

    def say_nothing(self) -> str:
        """No row fits."""
        return f"{self._path}: names no mask of an image of these records"


class BoxTable:
    """Boxes in pixels of the original image, upright; a row without one says there is none."""

    def __init__(self, path: Path, names: Names) -> None:
        self._path = path
        self._book: NameBook[tuple[PixelBox | None, Record]] = NameBook()
        for number, row in enumerate(read_rows(path, names), 1):
            self._book.add(str(row["path"]), (_box_of(row, f"{path}: row {number}"), row))

    def of(self, image: MarkedImage, size: tuple[int, int]) -> Iterable[Drawn] | None:
        """The boxes of an image as masks."""
        rows = self._book.find(image.name)
        if rows is None:
            return None
        return (Drawn(draw_box(box, size), row, str(self._path)) for box, row in rows)

    def asks(self, image: MarkedImage) -> Hashable:
        """The image's name."""
        return image.name

    def meets(self, image: MarkedImage) -> bool:  # noqa: ARG002 # as the protocol has it
        """Any image has a name."""
        return True

    def say_nothing(self) -> str:
        """No row fits."""
        return f"{self._path}: has no box of an image of these records"


def has_box(row: Record) -> bool:
    """Whether a row has the columns of a box."""
    return "box" in row or all(any(name in row for name in names) for names in _SIDES)


def draw_box(box: PixelBox | None, size: tuple[int, int]) -> Booleans:
    """The pixels whose middles lie in a box, at least one; none where there is no box.

    Raises ItemError for a box that reaches beyond an image of that width and height.
    """
    width, height = size
    mask = np.zeros((height, width), dtype=bool)
    if box is None:
        return mask
    left, top, wide, high = box
    if min(left, top) < -_BEYOND or left + wide > width + _BEYOND or top + high > height + _BEYOND:
        told = ", ".join(f"{side:g}" for side in box)
        raise ItemError(
            Cause.WRONG_SIZE, f"the box {told} reaches beyond the image, {width} x {height}"
        )
    rows, columns = _middles(top, high, height), _middles(left, wide, width)
    mask[rows, columns] = True
    return mask


def _middles(start: float, length: float, count: int) -> slice:
    first, last = math.ceil(start - 0.5), math.ceil(start + length - 0.5)
    first = min(max(first, 0), count - 1)
    return slice(first, max(min(last, count), first + 1))


def _box_of(row: Record, where: str) -> PixelBox | None:
    """The box of a row; None where nothing is in its place. Raises DataError for what is none."""
    if "box" in row:
        given = row["box"]
        values = given if isinstance(given, list) else [given] * 4
    else:
        values = [_side(row, names, where) for names in _SIDES]
    if values == [None] * 4:
        return None
    numbers = [float(value) for value in values if _is_pixels(value)]
    if len(values) != 4 or len(numbers) != 4 or min(numbers[2:]) <= 0:
        found = ", ".join(map(str, values))
        raise DataError(f"{where}: expected a box x, y, w, h in pixels, found {found:.60}")
    return numbers[0], numbers[1], numbers[2], numbers[3]


def _side(row: Record, names: Sequence[str], where: str) -> object:
    name = next((name for name in names if name in row), None)
    if name is None:
        raise DataError(
            f"{where}: expected columns x, y, w, h; there are {', '.join(row)}",
            f"Name it with `columns` {names[0]}=COLUMN.",
        )
    return row[name]


def _is_pixels(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST
