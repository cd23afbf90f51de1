"""Masks whose files stand in columns of the image's own row, as records carry them."""

import os
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path

from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError
from xmir_cli.guesses import find_near, suggest
from xmir_cli.pictures.identity import split_name
from xmir_cli.truth.marks import Drawn, MarkedImage
from xmir_cli.truth.masks import is_same_file, read_shapes

COLUMN = "column"  # tells apart the masks of several columns


class MaskColumns:
    """The masks that columns of a record name."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self._met: dict[str, None] = {}  # columns of the images, to be named when none is right

    def of(self, image: MarkedImage, size: tuple[int, int]) -> list[Drawn] | None:
        """The masks that the columns name; None where none of them names any."""
        self._met |= dict.fromkeys(image.columns)
        shapes: list[Drawn] = []
        for column in self._columns:
            for cell in _cells(column, image.columns.get(column)):
                name = _find(cell, image.name)
                if name is None:
                    raise ItemError(Cause.MISSING, f"{column}: no such file ({cell})")
                shapes += read_shapes(name, image.name, size, {COLUMN: column})
        return shapes or None

    def asks(self, image: MarkedImage) -> Hashable:
        """The image and what its columns name."""
        return image.name, *(str(image.columns.get(column)) for column in self._columns)

    def meets(self, image: MarkedImage) -> bool:
        """Whether it has one of the columns."""
        self._met |= dict.fromkeys(image.columns)
        return any(column in image.columns for column in self._columns)

    def say_nothing(self) -> str:
        """No column fits."""
        asked = ",".join(self._columns)
        if any(column in self._met for column in self._columns):
            return f"{asked}: the column names no mask of these images"
        near = find_near(asked, self._met)
        told = f"; {suggest(asked, near)}" if near else ""
        return f"{asked}: neither a folder nor a column of these records{told}"


def _cells(column: str, value: object) -> Iterator[str]:
    """The names in a cell: one, a list of them, or none."""
    for each in value if isinstance(value, list) else [value]:
        if each is None or each == "":
            continue
        if not isinstance(each, str):
            raise ItemError(Cause.BAD_RECORD, f"{column}: expected the file of a mask")
        yield each


def _find(cell: str, image: str) -> str | None:
    """The file that a cell names: from the image's folder upwards, for tables lie above images."""
    path, frame = split_name(cell)
    folder = Path(os.path.abspath(split_name(image)[0])).parent  # noqa: PTH100 # it would follow links
    for place in (folder, *folder.parents, Path.cwd()):
        name = os.path.join(place, path)  # noqa: PTH118 # a Path would refuse some names
        if os.path.isfile(name) and not is_same_file(name, image):  # noqa: PTH113
            shown = os.path.relpath(name)
            name = name if shown.startswith("..") or os.path.isabs(path) else shown  # noqa: PTH117
            return name if frame is None else f"{name}#frame={frame}"
    return None
