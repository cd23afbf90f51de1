"""Two files of hits as rankings: each query's answers under both models, as far as they are told.

Only what both passes over a file need is held: of a hit its number and whether it is right. The
records of the few queries that are shown are read again.
"""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from xmir_cli.arrays import Floats, Integers
from xmir_cli.causes import Cause
from xmir_cli.errors import DataError, ItemError
from xmir_cli.metrics.scores import Scores
from xmir_cli.scoring.compare.changes import SIDES, SideName, TwoRankings
from xmir_cli.scoring.compare.record_files import RecordFile
from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import NO_ANSWER, read_view
from xmir_cli.wire.schemas.retrieval import RetrievalRecord

_Asked = tuple[str, str]  # the query's identity and its words
_UNKNOWN = -1  # of a match: a label is missing
_OF_MODEL = ("model", "index")
_TOLD = ("query", "query_text", "query_identity", "query_label", "query_patient")


@dataclass
class _Hits:
    told: Record
    patient: str | None
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

    def right(self) -> Integers:
        """Whether each of them is, 1 or 0, or not known."""
        return np.array(self.matches, dtype=np.int64)[self.order]


@dataclass
class TwoAnswers:
    """The queries that both files answer, and what is left out of the comparison."""

    files: Mapping[SideName, RecordFile]
    asked: Sequence[_Asked]  # that both have, in the order of the new file
    images: Sequence[str]  # the identity of each item
    hits: "Mapping[SideName, Mapping[_Asked, _Hits]]"
    failed: Mapping[SideName, Sequence[tuple[int, ItemError]]]
    models: Mapping[SideName, Record]  # what the records of each say of the network and the index

    def count_only(self, side: SideName) -> int:
        """How many queries one of the files has alone."""
        return len(self.hits[side]) - len(self.asked)

    @property
    def longest(self) -> int:
        """The length of the longest ranking that both files have: beyond it one knows nothing."""
        return min(
            max(len(self.hits[side][each].ranking()) for each in self.asked) for side in SIDES
        )

    def queries(self) -> list[TwoRankings]:
        """The rankings of each query."""
        return [
            TwoRankings(
                number,
                self.hits["new"][each].told,
                self.hits["old"][each].ranking(),
                self.hits["new"][each].ranking(),
                self.hits["new"][each].patient or number,
            )
            for number, each in enumerate(self.asked)
        ]

    def match(self, query: TwoRankings, item: int, side: SideName) -> bool | None:
        """Whether a hit shares a label with the query, as its record says."""
        hits = self.hits[side][self.asked[query.number]]
        right = hits.right()[hits.ranking() == item]
        return bool(right[0]) if len(right) and right[0] != _UNKNOWN else None

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
    """What both files answer; raises DataError where that is nothing."""
    images: dict[str, int] = {}
    hits: dict[SideName, dict[_Asked, _Hits]] = {"old": {}, "new": {}}
    failed: dict[SideName, list[tuple[int, ItemError]]] = {"old": [], "new": []}
    models: dict[SideName, Record] = {"old": {}, "new": {}}
    for side in SIDES:
        for number, line in files[side].lines():
            try:
                if isinstance(line, ItemError):
                    raise line
                asked, identity, view = _read(line)
            except ItemError as error:
                failed[side].append((number, error.bare))
                continue
            own = hits[side].setdefault(asked, _Hits(_tell(line), view.query_patient))
            if not models[side]:
                models[side] = {name: line[name] for name in _OF_MODEL if name in line}
            if not identity:  # nothing was near enough
                continue
            own.items.append(images.setdefault(identity, len(images)))
            own.ranks.append(view.rank or len(own.ranks) + 1)
            own.matches.append(_UNKNOWN if view.match is None else int(view.match))
    shared = [each for each in hits["new"] if each in hits["old"]]
    if not shared:
        raise DataError(
            "the two have no query in common",
            "Queries are matched by the SHA-256 of their files, wherever these lie, and by words.",
        )
    return TwoAnswers(files, shared, list(images), hits, failed, models)


def score_answers(answers: TwoAnswers, cutoffs: Sequence[int]) -> dict[SideName, Scores] | None:
    """What hits alone can tell: p_at_K, recall_at_K and mrr; None where no label is known.

    Of a ranking that ends before K the rest counts as misses, also where nothing was found. Other
    numbers would need the whole archive: how many relevant images there are.
    """
    names = (
        *(f"p_at_{cutoff}" for cutoff in cutoffs),
        "mrr",
        *(f"recall_at_{cutoff}" for cutoff in cutoffs),
    )
    labels = [
        str(answers.hits["new"][each].told.get("query_label") or "") for each in answers.asked
    ]
    values = {
        side: np.array([_score(answers.hits[side][each], cutoffs) for each in answers.asked])
        for side in SIDES
    }
    unknown = np.isnan(values["old"][:, 0]) | np.isnan(values["new"][:, 0])
    if unknown.all():
        return None
    pairs = np.zeros((len(labels), 2), dtype=np.int64)
    for each in values.values():
        each[unknown] = np.nan
    return {side: Scores(names, values[side], labels, pairs) for side in SIDES}


def _score(hits: _Hits, cutoffs: Sequence[int]) -> Floats:
    right = hits.right()
    if (right == _UNKNOWN).any():
        return np.full(2 * len(cutoffs) + 1, np.nan)
    first = np.flatnonzero(right)
    reciprocal = 1 / (first[0] + 1) if len(first) else 0.0
    counts = [right[:cutoff].sum() for cutoff in cutoffs]
    precisions = [count / cutoff for count, cutoff in zip(counts, cutoffs, strict=True)]
    return np.array([*precisions, reciprocal, *(float(count > 0) for count in counts)])


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
    return (query, "" if words is None else words.said), found, view


def _tell(record: Record) -> Record:
    return {name: record[name] for name in _TOLD if record.get(name) is not None}
