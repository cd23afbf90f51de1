"""The hits of a query that tell most of what changed, each as a record of both models."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

from xmir_cli.arrays import Integers
from xmir_cli.scoring.compare.changes import (
    CAME,
    SIDES,
    STAYED,
    WENT,
    RankedQueries,
    SideName,
    TwoRankings,
)
from xmir_cli.wire.records import Record
from xmir_cli.wire.schemas.compare import CompareRecord


def choose_hits(query: TwoRankings, most: int, count: int) -> list[int]:
    """So many items: the first of each model, then what went and what came among the first `most`.

    Where fewer went and came, the nearest of those that stayed.
    """
    # as dictionaries, which keep their order and are quickly asked
    before, after = (dict.fromkeys(items[:most].tolist()) for items in (query.old, query.new))
    went = [item for item in before if item not in after]
    came = [item for item in after if item not in before]
    turns = chain.from_iterable(zip_longest(went, came))
    firsts = [*[*before][:1], *[*after][:1]]
    found = [*firsts, *(item for item in turns if item is not None), *after]
    return list(dict.fromkeys(found))[:count]


@dataclass(frozen=True)
class QueryPairs:
    """Queries whose hits are to be shown under both models."""

    ranked: RankedQueries
    changes: Sequence[Record]  # of all queries, in their order
    models: Mapping[SideName, Record]  # what records of each say of the network and the index
    hits: int  # of a query

    def records(self, queries: Sequence[TwoRankings]) -> Iterator[Record]:
        """Of each query first the hits as the old model has them, then as the new one has."""
        for query in queries:
            items = choose_hits(query, self.ranked.cutoffs[-1], self.hits)
            for side in SIDES:
                for item in items:
                    yield self._record(query, item, side)

    def _record(self, query: TwoRankings, item: int, side: SideName) -> Record:
        most, change = self.ranked.cutoffs[-1], self.changes[self.ranked.places[query.number]]
        ranks = {each: _rank(query.of(each), item) for each in SIDES}
        told = {**query.query, **self.ranked.tell(query, item, side)}
        return {
            "schema": CompareRecord.NAME,
            **{name: value for name, value in told.items() if name != "schema"},
            "rank": ranks[side],
            "side": side,
            "change": _tell_change(ranks, most),
            "rank_old": ranks["old"],
            "rank_new": ranks["new"],
            **{name: change[name] for name in (f"overlap_at_{most}", "rbo", "first_hit")},
            **self.models[side],
        }


def _tell_change(ranks: Mapping[SideName, int | None], most: int) -> str:
    old, new = (rank is not None and rank <= most for rank in (ranks["old"], ranks["new"]))
    return STAYED if old == new else CAME if new else WENT


def _rank(items: Integers, item: int) -> int | None:
    """The place of an item from 1; None where it is beyond what is known."""
    found = (items == item).nonzero()[0]
    return int(found[0]) + 1 if len(found) else None
