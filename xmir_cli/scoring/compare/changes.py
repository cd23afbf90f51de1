"""What changed in the ranking of each query."""

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from xmir_cli.arrays import Integers
from xmir_cli.metrics.overlap import overlap_at, rank_biased_overlap
from xmir_cli.metrics.scores import Scores
from xmir_cli.wire.records import Record

SideName = Literal["old", "new"]
SIDES: tuple[SideName, SideName] = ("old", "new")
CAME, WENT, STAYED = "came", "went", "stayed"


@dataclass(frozen=True)
class TwoRankings:
    """One query's nearest items by number, the nearest first, under both models."""

    number: int  # of the query
    query: Record  # what records tell of it
    old: Integers
    new: Integers
    unit: Hashable  # its patient, or itself: what is independent of others

    def of(self, side: SideName) -> Integers:
        """Those under one of the models."""
        return self.old if side == "old" else self.new


@dataclass(frozen=True)
class RankedQueries:
    """All queries under both models."""

    queries: Sequence[TwoRankings]
    cutoffs: Sequence[int]
    tell: Callable[[TwoRankings, int, SideName], Record]  # what records tell of a hit
    match: Callable[[TwoRankings, int, SideName], bool | None]  # whether it shares a label

    @cached_property
    def places(self) -> dict[int, int]:
        """The place of each query by its number."""
        return {each.number: place for place, each in enumerate(self.queries)}


def list_changes(ranked: RankedQueries, scores: Mapping[SideName, Scores] | None) -> list[Record]:
    """The numbers of every query: how much of its ranking stayed, and what that is worth."""
    return [_change(each, row, ranked, scores) for row, each in enumerate(ranked.queries)]


def _change(
    each: TwoRankings, row: int, ranked: RankedQueries, scores: Mapping[SideName, Scores] | None
) -> Record:
    most = ranked.cutoffs[-1]
    before, after = each.old[:most], each.new[:most]
    return {
        **each.query,
        **{
            f"overlap_at_{cutoff}": _known(overlap_at(each.old, each.new, cutoff))
            for cutoff in ranked.cutoffs
        },
        "rbo": _known(rank_biased_overlap(each.old, each.new)),
        CAME: len(np.setdiff1d(after, before)),
        WENT: len(np.setdiff1d(before, after)),
        "first_hit": _first_hit(each, ranked),
        **({} if scores is None else _numbers(scores, row)),
    }


def _first_hit(each: TwoRankings, ranked: RankedQueries) -> str | None:
    """`right to wrong` and the like, `right to none` where nothing is found any more.

    None where a label is not known, or nothing is found under both.
    """
    words = {True: "right", False: "wrong"}
    told = []
    for side in SIDES:
        items = each.of(side)
        match = ranked.match(each, int(items[0]), side) if len(items) else None
        if match is None and len(items):
            return None
        told.append("none" if match is None else words[match])
    if told[0] == told[1]:
        return None if told[0] == "none" else told[0]
    return f"{told[0]} to {told[1]}"


def _numbers(scores: Mapping[SideName, Scores], row: int) -> Record:
    found: Record = {}
    for number, name in enumerate(scores["old"].names):
        old, new = (float(scores[side].values[row, number]) for side in SIDES)
        found |= {
            f"{name}_old": _known(old),
            f"{name}_new": _known(new),
            f"{name}_difference": _known(new - old),
        }
    return found


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def worst_first(changes: Sequence[Record], names: Sequence[str]) -> list[int]:
    """The rows of the queries, those first that lost most of the first of these numbers.

    Of equal loss, those first whose ranking changed most; queries without the number are last.
    """
    first = f"{names[0]}_difference" if names else ""

    def badness(row: int) -> tuple[float, float]:
        lost, rbo = changes[row].get(first), changes[row]["rbo"]
        return (
            lost if isinstance(lost, float) else math.inf,
            rbo if isinstance(rbo, float) else math.inf,
        )

    return sorted(range(len(changes)), key=badness)
