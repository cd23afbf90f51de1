"""Which row or file belongs to an image: known by its name, and by its folders where they matter.

Tables call an image `images/a.png`, `a.png` or `a`, whatever folder it lies in and however it is
stored now; of several that fit, the one with more of the image's folders is meant.
"""

import os
from collections.abc import Iterator
from pathlib import PurePath
from typing import Generic, TypeVar

from xmir_cli.images.formats import extensions
from xmir_cli.pictures.identity import split_name

Fact = TypeVar("Fact")

_ENDINGS = {*extensions(), ".npy"}


def folders_of(name: str) -> tuple[list[str], int]:
    """The parts of an image's path without roots and dots, and which of its frames, from 1."""
    path, frame = split_name(name)
    return [part for part in PurePath(path).parts if part not in {"/", ".", ".."}], frame or 1


def stem_of(file: str) -> str:
    """A file's name without the ending of a picture: `1.2.3` keeps its own."""
    stem, ending = os.path.splitext(file)  # noqa: PTH122 # of a name alone
    return stem if ending.lower() in _ENDINGS else file


class NameBook(Generic[Fact]):
    """What is known of images, by the names that a table calls them."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], list[tuple[list[str], Fact]]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def add(self, name: str, found: Fact) -> None:
        """Put in one thing that is known of the image `name`."""
        parts, frame = folders_of(name)
        if parts:
            self._known.setdefault((stem_of(parts[-1]), frame), []).append((parts, found))

    def find(self, name: str) -> list[Fact] | None:
        """All that is known of an image, in order; None where it is named nowhere."""
        parts, frame = folders_of(os.path.abspath(name))  # noqa: PTH100 # it would follow links
        fitting = list(self._fitting(parts, frame)) if parts else []
        most = max((rank for rank, _ in fitting), default=None)
        found = [each for rank, each in fitting if rank == most]
        return found or None

    def _fitting(self, parts: list[str], frame: int) -> Iterator[tuple[tuple[int, bool], Fact]]:
        """What is told of names that end the path, each with how much of it they tell."""
        folders, file = parts[:-1], parts[-1]
        for own, found in self._known.get((stem_of(file), frame), ()):
            told = own[:-1]
            if not told or folders[-len(told) :] == told:
                yield (len(told), own[-1] in {file, stem_of(file)}), found
