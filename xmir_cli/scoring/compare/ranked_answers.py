"""Two files of hits as rankings: each query's answers under both models, as far as they are told.

Only what both passes over a file need is held: of a hit its number and whether it is right. The
records of the few queries that are shown are read again.
"""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from xmir_cli.arrays import Integers
from xmir_cli.causes import Cause
from xmir_cli.errors import DataError, ItemError
from xmir_cli.labels import share_label
from xmir_cli.scoring.compare.changes import SIDES, SideName, TwoRankings
from xmir_cli.scoring.compare.record_files import OneNetwork, RecordFile
from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import NO_ANSWER, read_view
from xmir_cli.wire.schemas.retrieval import RetrievalRecord

_Asked = tuple[str, str, str]  # the query's identity, its words, and its region
UNKNOWN = -1  # of a match: a label is missing
_OF_MODEL = ("model", "index")
_LABEL = "query_label"
_TOLD = ("query", "query_text", "query_identity", _LABEL, "query_patient")


@dataclass
class _Hits:
    told: Record
    items: "array[int]" = field(default_factory=lambda: array("q"))
    ranks: "array[int]" = field(default_factory=lambda: array("q"))
    matches: "array[int]" = field(default_factory=lambda: array("b"))

    @property
    def order(self) -> Integers:
        """The places of the hits by rank; of those of one image only the first."""
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

    def matching(self) -> Integers:
        """Whether each of them does, 1 or 0, as its record says; or not known."""
        return np.array(self.matches, dtype=np.int64)[self.order]


@dataclass
class TwoAnswers:
    """The queries that both files answer, and what is left out of the comparison.

    Labels and patients are what NEW says, or else OLD, as of archives.
    """

    files: Mapping[SideName, RecordFile]
    asked: Sequence[_Asked]  # that both have, in the order of the new file
    images: Sequence[str]  # the identity of each item
    labels: Mapping[SideName, Mapping[int, str]]  # of the items that have one
    hits: "Mapping[SideName, Mapping[_Asked, _Hits]]"
    failed: Mapping[SideName, Sequence[tuple[int, ItemError]]]
    models: Mapping[SideName, Record]  # what the records of each say of the network and the index

    def count_only(self, side: SideName) -> int:
        """How many queries one of the files has alone."""
        return len(self.hits[side]) - len(self.asked)

    @cached_property
    def depths(self) -> tuple[int, int]:
        """The length of the longest ranking of OLD and of NEW: beyond it one knows nothing."""
        old, new = (
            max(len(self.hits[side][each].ranking()) for each in self.asked) for side in SIDES
        )
        return old, new

    @property
    def relabelled(self) -> int:
        """How many queries and items have another label in NEW."""
        old, new = self.labels["old"], self.labels["new"]
        items = sum(old[item] != new[item] for item in old.keys() & new.keys())
        both = [[self.hits[side][each].told.get(_LABEL) for side in SIDES] for each in self.asked]
        return items + sum(bool(one and other and one != other) for one, other in both)

    def label_of(self, item: int) -> str | None:
        """The label of an item."""
        return self.labels["new"].get(item) or self.labels["old"].get(item)

    def told(self, asked: _Asked) -> Record:
        """What records tell of a query."""
        return self.hits["old"][asked].told | self.hits["new"][asked].told

    def queries(self) -> list[TwoRankings]:
        """The rankings of each query."""
        return [
            TwoRankings(
                number,
                told := self.told(each),
                self.hits["old"][each].ranking(),
                self.hits["new"][each].ranking(),
                str(told["query_patient"]) if told.get("query_patient") else number,
            )
            for number, each in enumerate(self.asked)
        ]

    def match(self, query: TwoRankings, item: int, side: SideName) -> bool | None:
        """Whether a hit shares a label with the query; where labels are missing, as it says."""
        asked = self.asked[query.number]
        found = self.matches(side, asked)[self.hits[side][asked].ranking() == item]
        return bool(found[0]) if len(found) and found[0] != UNKNOWN else None

    def matches(self, side: SideName, asked: _Asked, label: str | None = None) -> Integers:
        """Whether each hit does, 1 or 0, or UNKNOWN, the nearest first.

        With a `label`: whether it has this one, which is one of the query's.
        """
        hits = self.hits[side][asked]
        own = label or self.told(asked).get(_LABEL)
        shared = [share_label(own, self.label_of(item)) for item in hits.ranking().tolist()]
        told = hits.matching().tolist() if label is None else [UNKNOWN] * len(shared)
        known = [one if both is None else both for both, one in zip(shared, told, strict=True)]
        return np.array(known, dtype=np.int64)

    def read_records(
        self, queries: Iterable[TwoRankings]
    ) -> dict[tuple[int, int, SideName], Record]:
        """The records of the hits of some queries, by query, item and side."""
        wanted = {self.asked[each.number]: each.number for each in queries}
        numbers = {identity: number for number, identity in enumerate(self.images)}
        found: dict[tuple[int, int, SideName], Record] = {}
        for side in SIDES:
            for _, line in self.files[side].lines():
                if isinstance(line, ItemError):
                    continue
                try:
                    asked, identity, _ = _read(line)
                except ItemError:
                    continue
                if identity and asked in wanted:
                    found.setdefault((wanted[asked], numbers[identity], side), line)
        return found


def read_answers(files: Mapping[SideName, RecordFile]) -> TwoAnswers:
    """What both files answer; raises DataError where that is nothing, or not one answer a query."""
    images: dict[str, int] = {}
    found = {side: _read_side(files[side], images) for side in SIDES}
    hits = {side: each.hits for side, each in found.items()}
    shared = [each for each in hits["new"] if each in hits["old"]]
    if not shared:
        raise DataError(
            "the two have no query in common",
            "Queries are matched by the SHA-256 of their files, wherever these lie, and by words.",
        )
    return TwoAnswers(
        files,
        shared,
        list(images),
        {side: each.labels for side, each in found.items()},
        hits,
        {side: each.failed for side, each in found.items()},
        {side: each.model for side, each in found.items()},
    )


@dataclass
class _Side:
    """What is held of one of the files."""

    hits: dict[_Asked, _Hits] = field(default_factory=dict)
    labels: dict[int, str] = field(default_factory=dict)
    failed: list[tuple[int, ItemError]] = field(default_factory=list)
    model: Record = field(default_factory=dict)

    def keep(self, line: Record, images: dict[str, int]) -> None:
        """Take up a record, its image among all `images`; raises ItemError."""
        asked, identity, view = _read(line)
        own = self.hits.setdefault(asked, _Hits(_tell(line)))
        if not self.model:
            self.model = {name: line[name] for name in _OF_MODEL if name in line}
        if not identity:  # nothing was near enough
            return
        own.items.append(images.setdefault(identity, len(images)))
        own.ranks.append(view.rank or len(own.ranks) + 1)
        own.matches.append(UNKNOWN if view.match is None else int(view.match))
        if view.retrieved_label:
            self.labels.setdefault(own.items[-1], view.retrieved_label)


def _read_side(file: RecordFile, images: dict[str, int]) -> _Side:
    side, network = _Side(), OneNetwork(file.source)
    for number, line in file.lines():
        try:
            if isinstance(line, ItemError):
                raise line
            side.keep(line, images)
        except ItemError as error:
            side.failed.append((number, error.bare))
            continue
        network.check(line)
    _refuse_two_answers(file.source, side.hits)
    return side


def _refuse_two_answers(source: str, hits: Mapping[_Asked, _Hits]) -> None:
    for each in hits.values():
        if (rank := each.shared_rank) is not None:
            query = each.told.get("query") or each.told.get("query_text")
            raise DataError(
                f"{source}: {query}: two images have the rank {rank}",
                "Compare files in which each query has one answer.",
            )


def _read(record: Record) -> tuple[_Asked, str, RetrievalRecord]:
    """Who asks, what is found, "" for nothing; raises ItemError where that is not told."""
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
    return (query, "" if words is None else words.said, region), found, view


def _tell(record: Record) -> Record:
    return {name: record[name] for name in _TOLD if record.get(name) is not None}
