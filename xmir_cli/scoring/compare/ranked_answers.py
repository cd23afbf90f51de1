"""Two files of hits as rankings: each query's answers under both models, as far as they are told.

Only what both passes over a file need is held: of a hit its number and whether it is right. The
records of the few queries that are shown are read again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from xmir_cli.arrays import Integers
from xmir_cli.errors import DataError, ItemError
from xmir_cli.labels import share_label
from xmir_cli.scoring.compare.answer_side import (
    QUERY_LABEL,
    UNKNOWN,
    AnswerKey,
    AnswerSide,
    QueryHits,
    read_hit,
    read_sides,
)
from xmir_cli.scoring.compare.changes import SIDES, SideName, TwoRankings
from xmir_cli.scoring.compare.copies import Copy, CopyNumbers, copy_of
from xmir_cli.scoring.compare.record_files import RecordFile
from xmir_cli.scoring.compare.ways import Ways
from xmir_cli.wire.records import Record


@dataclass
class TwoAnswers:
    """The queries that both files answer, and what is left out of the comparison.

    Labels and patients are what NEW says, or else OLD, as of archives.
    """

    files: Mapping[SideName, RecordFile]
    asked: Sequence[AnswerKey]  # that both have, in the order of the new file
    items: Mapping[Copy, int]  # the number of each image
    labels: Mapping[SideName, Mapping[int, str]]  # of the items that have one
    hits: "Mapping[SideName, Mapping[AnswerKey, QueryHits]]"
    failed: Mapping[SideName, Sequence[tuple[int, ItemError]]]
    models: Mapping[SideName, Record]  # what the records of each say of the network and the index
    copies: Mapping[SideName, tuple[CopyNumbers, CopyNumbers]]  # of queries and of hits, in each

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
        pairs = [
            [self.hits[side][each].told.get(QUERY_LABEL) for side in SIDES] for each in self.asked
        ]
        return items + sum(bool(one and other and one != other) for one, other in pairs)

    def label_of(self, item: int) -> str | None:
        """The label of an item."""
        return self.labels["new"].get(item) or self.labels["old"].get(item)

    def ways(self, side: SideName) -> list[Ways]:
        """By what each query was asked."""
        return [self.hits[side][each].ways for each in self.asked]

    def told(self, asked: AnswerKey) -> Record:
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

    def matches(self, side: SideName, asked: AnswerKey, label: str | None = None) -> Integers:
        """Whether each hit does, 1 or 0, or UNKNOWN, the nearest first.

        With a `label`: whether it has this one, which is one of the query's.
        """
        hits = self.hits[side][asked]
        own = label or self.told(asked).get(QUERY_LABEL)
        shared = [share_label(own, self.label_of(item)) for item in hits.ranking().tolist()]
        told = hits.matching().tolist() if label is None else [UNKNOWN] * len(shared)
        known = [one if both is None else both for both, one in zip(shared, told, strict=True)]
        return np.array(known, dtype=np.int64)

    def read_records(
        self, queries: Iterable[TwoRankings]
    ) -> dict[tuple[int, int, SideName], Record]:
        """The records of the hits of some queries, by query, item and side."""
        wanted = {self.asked[each.number]: each.number for each in queries}
        found: dict[tuple[int, int, SideName], Record] = {}
        for side in SIDES:
            asking, copies = self.copies[side]
            for _, line in self.files[side].lines():
                if isinstance(line, ItemError):
                    continue
                try:
                    (query, words, region), image, _ = read_hit(line)
                except ItemError:
                    continue
                asked = (copy_of(query, asking), words, region)
                if image and asked in wanted:
                    item = self.items[copy_of(image, copies)]
                    found.setdefault((wanted[asked], item, side), line)
        return found


def read_answers(files: Mapping[SideName, RecordFile]) -> TwoAnswers:
    """What both files answer; raises DataError where that is nothing, or not one answer a query."""
    images: dict[Copy, int] = {}
    sides = read_sides(files["old"], files["new"], images)
    found: dict[SideName, AnswerSide] = dict(zip(SIDES, sides, strict=True))
    hits = {side: each.hits for side, each in found.items()}
    shared = [each for each in hits["new"] if each in hits["old"]]
    if not shared:
        torn = [
            f"{len(each.failed)} records of {files[side].source} cannot be used"
            for side, each in found.items()
            if each.failed
        ]
        raise DataError(
            "; ".join(["the two have no query in common", *torn]),
            "Queries are matched by the SHA-256 of their files, wherever these lie, and by words.",
        )
    return TwoAnswers(
        files,
        shared,
        images,
        {side: each.labels for side, each in found.items()},
        hits,
        {side: each.failed for side, each in found.items()},
        {side: each.model for side, each in found.items()},
        {side: (each.asking, each.found) for side, each in found.items()},
    )
