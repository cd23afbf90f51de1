"""Which image is asked for, and what is marked on it."""

from collections import ChainMap
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from xmir_cli.arrays import Booleans
from xmir_cli.causes import Cause
from xmir_cli.errors import ItemError
from xmir_cli.guesses import suggest
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

    def of(self, image: MarkedImage, size: tuple[int, int]) -> Iterable[Drawn] | None:
        """What is drawn on an image of that width and height; None where nothing is known of it.

        Each is made when it is its turn.

        Raises ItemError for what is there and cannot be used.
        """

    def asks(self, image: MarkedImage) -> Hashable:
        """What the answer for an image depends on."""

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
    """The shapes as one mark, or as one for each value of the column `by`, in their order.

    Raises ItemError where no shape has that column.
    """
    masks: dict[str, Booleans] = {}
    files: dict[str, dict[str, None]] = {}
    columns: dict[str, None] = {}
    for shape in shapes:
        value = None if by is None else shape.about.get(by)
        name = "" if value is None else str(value)
        masks[name] = masks[name] | shape.mask if name in masks else shape.mask
        files.setdefault(name, {})[shape.file] = None
        columns |= dict.fromkeys(shape.about)
    if by is not None and by not in columns:
        raise ItemError(Cause.BAD_MASK, f"no column {by!r}; {suggest(by, list(columns))}")
    return [Mark(name, mask, tuple(files[name])) for name, mask in masks.items()]
