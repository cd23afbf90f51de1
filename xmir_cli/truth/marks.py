"""Which image is asked for, and what is marked on it."""

import itertools
from collections import ChainMap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from xmir_cli.arrays import Booleans
from xmir_cli.wire.schemas.retrieval import RetrievalRecord


@dataclass(frozen=True)
class MarkedImage:
    """An image and what a record tells of it."""

    name: str  # PATH or PATH#frame=N
    columns: Mapping[str, object]


class Drawn(NamedTuple):
    """One thing that somebody drew: a mask's file, a segment, or a box."""

    mask: Booleans
    about: Mapping[str, object]  # what tells it apart from others: columns of its row, a segment
    file: str


class Mark(NamedTuple):
    """What counts as one answer: all that was drawn, or what shares a value of a column."""

    name: str  # that value; empty where nothing is told apart
    mask: Booleans
    files: tuple[str, ...]


class Truth(Protocol):
    """A place where masks or boxes are kept."""

    def of(self, image: MarkedImage, size: tuple[int, int]) -> list[Drawn] | None:
        """What is drawn on an image of that width and height; None where nothing is known of it.

        Raises ItemError for what is there and cannot be used.
        """

    def meets(self, image: MarkedImage) -> bool:
        """Whether the image is of the kind of which something may be known."""

    def say_nothing(self) -> str:
        """What is to be said when nothing was found for any image."""


def retrieved_image(view: RetrievalRecord) -> MarkedImage:
    """The retrieved image of a record with its columns."""
    return MarkedImage(view.retrieved, ChainMap(view.meta or {}, view.record))


def query_image(view: RetrievalRecord) -> MarkedImage:
    """The query of a record, with the columns that are known of it."""
    identity = view.query_identity
    same = identity is not None and identity == view.retrieved_identity
    if same or view.query == view.retrieved or "path" in view.record:
        return MarkedImage(view.query, retrieved_image(view).columns)
    return MarkedImage(view.query, view.query_meta or {})


def merge(shapes: Iterable[Drawn], by: str | None) -> list[Mark]:
    """The shapes as one mark, or as one for each value of the column `by`, in their order."""

    def name(shape: Drawn) -> str:
        value = None if by is None else shape.about.get(by)
        return "" if value is None else str(value)

    groups: dict[str, list[Drawn]] = {}
    for shape in shapes:
        groups.setdefault(name(shape), []).append(shape)
    return [
        Mark(
            each,
            np.logical_or.reduce([shape.mask for shape in group]),
            tuple(dict.fromkeys(itertools.chain(shape.file for shape in group))),
        )
        for each, group in groups.items()
    ]
