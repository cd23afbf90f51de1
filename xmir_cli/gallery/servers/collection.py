"""What a server's own file provides: a place that items are put into, asked and read from."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from xmir_cli.arrays import Integers
from xmir_cli.gallery.protocol import Build
from xmir_cli.gallery.servers.about import About
from xmir_cli.gallery.servers.clauses import Clause
from xmir_cli.gallery.servers.columns import Native, ValueKind
from xmir_cli.gallery.vectors import Vectors

_MOST = 2048  # items put in in one request
_NUMBERS = 1 << 18  # of vectors, in one; 1 MB


def batch_rows(dim: int) -> int:
    """How many items of vectors [D = dim] are put in at a time."""
    return max(1, min(_MOST, _NUMBERS // dim))


@dataclass(frozen=True)
class Near:
    """Batch near a query, as far as the server's own arithmetic tells."""

    rows: Integers  # [n]
    vectors: Vectors  # [n, D]
    farthest: float  # the server's similarity of the last of them; -inf where there are no more


@dataclass(frozen=True)
class Batch:
    """Batch as a server keeps them, in whatever order."""

    rows: Sequence[int]
    values: Mapping[str, Sequence[Native | None]]  # by the columns' names there
    vectors: Vectors | None  # [n, D]


class Collection(Protocol):
    """A whole collection, opened to be asked. Raises DataError where the server fails."""

    @property
    def about(self) -> About:
        """What it says of itself."""

    def count(self, clauses: Sequence[Clause]) -> int:
        """How many items there are of which all clauses hold."""

    def distinct(self, stored: str) -> list[Native | None]:
        """The values of a column, each once; None among them where an item has none."""

    def read(
        self, clauses: Sequence[Clause], stored: Sequence[str], vectors: bool, span: range | None
    ) -> Batch:
        """The items of which all clauses hold, of those numbers if there is a `span`."""

    def nearest(
        self, query: Vectors, count: int, clauses: Sequence[Clause], graph: int | None
    ) -> Near:
        """The nearest items to a query [D] of which all clauses hold, at most so many.

        Exactly those but for rounding, and fewer only where there are no more; with `graph`
        candidates by the graph, which may miss some.
        """


class Place(Protocol):
    """Where a collection of a name is, or may be. Raises DataError where the server fails."""

    @property
    def kinds(self) -> frozenset[ValueKind]:
        """Of which values are that it keeps."""

    def look(self) -> "Standing":
        """What is there."""

    def open(self, about: About) -> Collection:
        """The collection that was found."""

    def locked(self) -> AbstractContextManager[None]:
        """While it lasts nobody else loads into the place; it waits until nobody does."""

    def begin(self, about: About) -> int:
        """Make room beside what is there; how many items of such a load are there already."""

    def put(self, about: About, batches: Iterator[Batch], start: int) -> None:
        """Put items in, those of the numbers from `start` on; what is there already stays."""

    def finish(self, about: About, measure: Callable[[Collection], float | None]) -> About:
        """Let what was put in take the place of what has the name, with the recall measured."""

    def refuse(self, build: Build, dim: int | None = None) -> None:
        """Raise SettingError or DataError for what such a server cannot do; nobody asks it.

        The length of the vectors is None where it is not known yet.
        """


@dataclass(frozen=True)
class Standing:
    """What is under a name on a server."""

    about: About | None  # of a whole collection
    foreign: bool = False  # something that xmir did not make
    unfinished: bool = False  # the beginning of a load
