"""One file of answers, read in one pass: the hits of each query by identity, and what tore.

Names tell copies of an image apart, and which copy each name is shows when all are read.
"""

from array import array
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from xmir_cli.arrays import Integers
from xmir_cli.causes import Cause
from xmir_cli.errors import DataError, ItemError
from xmir_cli.scoring.compare.copies import Copy, CopyNumbers, Named, copy_of, number_copies
from xmir_cli.scoring.compare.record_files import OneNetwork, RecordFile
from xmir_cli.scoring.compare.ways import Ways, read_ways
from xmir_cli.scoring.evaluation import whose
from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import NO_ANSWER, read_view
from xmir_cli.wire.schemas.retrieval import RetrievalRecord

AnswerKey = tuple[Copy, str, str]  # the query, its words, and its region
NamedKey = tuple[Named, str, str]  # the same of a query by its name
UNKNOWN = -1  # of a match: a label is missing
QUERY_LABEL = "query_label"
_OF_MODEL = ("model", "index")
_PATIENT = "query_patient"
_TOLD = ("query", "query_text", "query_identity", QUERY_LABEL)


@dataclass
class QueryHits:
    """What is held of the hits of a query, in the order of the file."""

    told: Record
    line: int  # of its first record
    ways: Ways  # by which it was asked, as that tells
    items: "array[int]" = field(default_factory=lambda: array("q"))
    ranks: "array[int]" = field(default_factory=lambda: array("q"))
    matches: "array[int]" = field(default_factory=lambda: array("b"))

    @property
    def order(self) -> Integers:
        """The places of the hits by rank; of a hit that comes again only the first."""
        ranked = np.argsort(np.array(self.ranks), kind="stable")
        _, first = np.unique(np.array(self.items)[ranked], return_index=True)
        return np.asarray(ranked[np.sort(first)])

    def ranking(self) -> Integers:
        """The items, the nearest first."""
        return np.array(self.items, dtype=np.int64)[self.order]

    @property
    def shared_rank(self) -> int | None:
        """A rank that two images have; None where there is none."""
        pairs = np.unique(np.array([self.ranks, self.items], dtype=np.int64), axis=1)
        twice = np.flatnonzero(np.diff(pairs[0]) == 0)
        return int(pairs[0, twice[0]]) if len(twice) else None

    @property
    def lacks_rank(self) -> bool:
        """Whether a rank before its last one is not there."""
        return len(set(self.ranks)) < max(self.ranks, default=0)

    def matching(self) -> Integers:
        """Whether each of them does, 1 or 0, as its record says; or not known."""
        return np.array(self.matches, dtype=np.int64)[self.order]


@dataclass
class AnswerSide:
    """What is held of one of the files."""

    hits: dict[AnswerKey, QueryHits] = field(default_factory=dict)
    labels: dict[int, str] = field(default_factory=dict)
    failed: list[tuple[int, ItemError]] = field(default_factory=list)
    model: Record = field(default_factory=dict)
    asking: CopyNumbers = field(default_factory=dict)  # of the queries
    found: CopyNumbers = field(default_factory=dict)  # of the hits

    def leave_torn_out(self, queries: Collection[object]) -> None:
        """Leave out answers of which a record may be among those that cannot be read.

        Those are of the `queries` of these identities, or lack a rank: the next hit is not the one
        that was found there. Where all can be read, a rank that lacks was left out on purpose.
        """
        if not self.failed:
            return
        torn = {
            asked: each
            for asked, each in self.hits.items()
            if asked[0][0] in queries or each.lacks_rank
        }
        for asked, each in torn.items():
            del self.hits[asked]
            told = ItemError(Cause.BAD_RECORD, "another record of this query cannot be read")
            self.failed.append((each.line, told))
        self.failed.sort(key=lambda each: each[0])


@dataclass
class _Reader:
    """What is held of a file while it is read: queries and images are known by their names."""

    hits: dict[NamedKey, QueryHits] = field(default_factory=dict)
    images: dict[Named, int] = field(default_factory=dict)  # the item that each is
    labels: dict[int, str] = field(default_factory=dict)
    model: Record = field(default_factory=dict)
    failed: list[tuple[int, ItemError]] = field(default_factory=list)
    torn: set[object] = field(default_factory=set)  # queries of which a record cannot be read
    _known_ways: dict[str, Ways] = field(default_factory=dict)  # each once

    def keep(self, number: int, line: Record) -> None:
        """Take up a record; raises ItemError."""
        asked, found, view = read_hit(line)
        own = self.hits.get(asked)
        if own is None:
            own = self.hits[asked] = QueryHits(_tell(line), number, self._ways_of(line))
        if line.get(_PATIENT):  # a hit on the query, or on a copy of it, does not tell it
            own.told[_PATIENT] = line[_PATIENT]
        if not self.model:
            self.model = {name: line[name] for name in _OF_MODEL if name in line}
        if found is None:  # nothing was near enough
            return
        own.items.append(self.images.setdefault(found, len(self.images)))
        own.ranks.append(view.rank or len(own.ranks) + 1)
        own.matches.append(UNKNOWN if view.match is None else int(view.match))
        if view.retrieved_label:
            self.labels.setdefault(own.items[-1], view.retrieved_label)

    def fail(self, number: int, line: Record | ItemError, error: ItemError) -> None:
        """Take up a record that cannot be used, or a line that is none."""
        self.failed.append((number, error.bare))
        if not isinstance(line, ItemError):
            self.torn.add(str(line.get("query_identity")))

    def number(
        self, asking: CopyNumbers, found: CopyNumbers, images: dict[Copy, int]
    ) -> AnswerSide:
        """The same with copies by number, each hit with its number among all `images`."""
        items = [images.setdefault(copy_of(each, found), len(images)) for each in self.images]
        for each in self.hits.values():
            each.items = array("q", [items[item] for item in each.items])
        hits = {
            (copy_of(query, asking), words, region): each
            for (query, words, region), each in self.hits.items()
        }
        labels = {items[item]: label for item, label in self.labels.items()}
        return AnswerSide(hits, labels, self.failed, self.model, asking, found)

    def _ways_of(self, line: Record) -> Ways:
        ways = read_ways(line)
        return self._known_ways.setdefault(ways.key, ways)


def read_sides(
    old: RecordFile, new: RecordFile, images: dict[Copy, int]
) -> tuple[AnswerSide, AnswerSide]:
    """The answers of two files, whose images get numbers among all `images`.

    Raises DataError for a query with two answers, and for records of two networks.
    """
    before, after = _read(old), _read(new)
    asked = ([query for query, _, _ in each.hits] for each in (before, after))
    asking, found = number_copies(*asked), number_copies(before.images, after.images)
    sides = (
        before.number(asking[0], found[0], images),
        after.number(asking[1], found[1], images),
    )
    for file, reader, side in zip((old, new), (before, after), sides, strict=True):
        side.leave_torn_out(reader.torn)
        _refuse_two_answers(file.source, side.hits)
    return sides


def _read(file: RecordFile) -> _Reader:
    reader, network = _Reader(), OneNetwork(file.source)
    for number, line in file.lines():
        try:
            if isinstance(line, ItemError):
                raise line
            reader.keep(number, line)
        except ItemError as error:
            reader.fail(number, line, error)
            continue
        network.check(line)
    return reader


def _refuse_two_answers(source: str, hits: Mapping[AnswerKey, QueryHits]) -> None:
    for each in hits.values():
        if (rank := each.shared_rank) is not None:
            query = each.told.get("query") or each.told.get("query_text")
            raise DataError(
                f"{source}: {query}: two images have the rank {rank}",
                "Compare files in which each query has one answer.",
            )


def read_hit(record: Record) -> tuple[NamedKey, Named | None, RetrievalRecord]:
    """Who asks, what is found, None for nothing; raises ItemError where that is not told.

    A query is named by its path, a hit by its id, or by its path where it has none.
    """
    nothing = record.get("answer") == NO_ANSWER
    # of an answer of none the rest is read as of any other
    view = read_view(RetrievalRecord, {**record, "retrieved": ""} if nothing else record)
    words = view.words
    query = view.query_identity or ""
    found = "" if nothing else view.retrieved_identity
    if (view.query and not query) or found is None:
        raise ItemError(
            Cause.BAD_RECORD,
            "query_identity, retrieved_identity: expected the hashes of the images, found nothing",
        )
    region = "" if view.region is None else str(list(view.region))
    asked = ((query, view.query), "" if words is None else words.said, region)
    return asked, (found, _name(view)) if found else None, view


def _name(view: RetrievalRecord) -> str:
    own = (view.meta or {}).get("id")
    return view.retrieved if own is None else str(own)


def _tell(record: Record) -> Record:
    told = {name: record[name] for name in _TOLD if record.get(name) is not None}
    patient = whose(record, "query")
    return told if patient is None else {**told, _PATIENT: patient}
