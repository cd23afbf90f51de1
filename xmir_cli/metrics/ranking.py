"""The numbers of a ranking: mAP, P@K and their kin, each a line of the docstring and of `score`.

For a query with R relevant items among the gallery without the query itself, h_k in {0, 1} the
relevance at rank k, g_k in [0, 1] its grade, and P@k = (h_1 + ... + h_k) / k:

    map          AP = 1/R sum_k h_k P@k, over the whole ranking
    p_at_K       P@K
    r_precision  P@R
    map_at_r     1/R sum_{k <= R} h_k P@k
    mrr          1 / rank of the first relevant item
    ndcg         DCG / the largest DCG of any ranking, DCG = sum_k g_k / log2(k + 1)
    recall_at_K  1 when any of the first K is relevant (hit rate)
    ndcg_at_K    the same as ndcg with both sums over k <= K

Where items are equally similar to the query, each number is its mean over all orders of them
(McSherry and Najork, Computing information retrieval performance measures efficiently in the
presence of tied scores, ECIR 2008), so that none depends on the order of the gallery. They follow
from counts: for each similarity at which a relevant item lies, how many items, and how many
relevant ones, have a greater one and how many have this one.

A query with R = 0 has no numbers; in the mode `x-mir` it counts, as `released_precision` says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from xmir_cli.arrays import Floats, Integers
from xmir_cli.metrics.ties import TieGroups

Mode = Literal["standard", "x-mir"]


@dataclass(frozen=True)
class Measures:
    """What to compute: the Ks of p_at_K, recall_at_K and ndcg_at_K, and whose `map`.

    With `by_label` queries with several labels are also asked by each of these alone.
    """

    cutoffs: Sequence[int]
    mode: Mode = "standard"  # x-mir: the released evaluator's, see `released_precision`
    by_label: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of `score`."""
        precisions = (f"p_at_{cutoff}" for cutoff in self.cutoffs)
        recalls = (f"recall_at_{cutoff}" for cutoff in self.cutoffs)
        gains = (f"ndcg_at_{cutoff}" for cutoff in self.cutoffs)
        return ("map", *precisions, "r_precision", "map_at_r", "mrr", "ndcg", *recalls, *gains)


def score(ties: TieGroups, measures: Measures) -> Floats:
    """The numbers [B, M] of each ranking in the order of `measures.names`; NaN when R = 0."""
    total, largest = ties.total, ties.total[ties.query]  # [B], [G]
    near = ties.better < largest
    at_r, largest = ties.only(near), largest[near]
    tops = [ties.only(ties.better < cutoff) for cutoff in measures.cutoffs]
    reciprocal, any_found = _first_found(ties, measures.cutoffs)
    gain, *gains = _gains(ties, tops, measures.cutoffs)
    released = measures.mode == "x-mir"
    found = [_found(top, cutoff) for top, cutoff in zip(tops, measures.cutoffs, strict=True)]
    with np.errstate(divide="ignore", invalid="ignore"):  # R = 0 gives the NaN that is wanted
        columns = [
            released_precision(ties) if released else _precisions(ties, ties.equal) / total,
            *(each / cutoff for each, cutoff in zip(found, measures.cutoffs, strict=True)),
            _found(at_r, largest) / total,
            _precisions(at_r, at_r.among(largest)) / total,
            reciprocal,
            gain,
            *any_found,
            *gains,
        ]
    values = np.stack(columns, axis=1)
    if released:
        return np.nan_to_num(values, nan=0.0)
    values[total == 0] = np.nan
    return values


def released_precision(ties: TieGroups) -> Floats:
    """The released X-MIR evaluator's AP [B]: the query counts as relevant and stands last.

    With the R + 1 relevant items at ranks rho_0 < rho_1 < ... from 0:
    AP' = 1 / (R + 1) sum_j (j / rho_j + (j + 1) / (rho_j + 1)) / 2, j / rho_j := 1 at rho_j = 0.
    A perfect ranking of 100 relevant in 300 images has 0.993322, not 1. A query without any
    relevant item but itself counts: with N images in all it has 1 / 2N, and 0 in other numbers.
    """
    share, slope = _shares(ties)
    # j / rho_j at a group's i-th place: (found + slope (i - 1)) / (better + i - 1)
    first = ties.better == 0
    behind = np.maximum(ties.better, 1)
    rest = (ties.found - slope * behind) * _inverse_ranks(behind - 1, behind + ties.equal - 1)
    before = np.where(first, 1 + slope * (ties.equal - 1), slope * ties.equal + rest)
    terms = (ties.sum(share * before) + _precisions(ties, ties.equal)) / 2
    total, items = ties.total, ties.items
    last = (np.where(items, total / np.maximum(items, 1), 1) + (total + 1) / (items + 1)) / 2
    return np.asarray((terms + last) / (total + 1), dtype=np.float64)


def _found(ties: TieGroups, first: Integers | int) -> Floats:
    """How many relevant items are among the first of each ranking [B]."""
    return ties.sum(ties.relevant * (ties.among(first) / ties.equal))


def _precisions(ties: TieGroups, places: Integers) -> Floats:
    """The sum of h_k P@k over the first `places` [G] of each group, for each query [B]."""
    # of a group of one, which is relevant, at its place
    each = (ties.found + 1) * ties.inverse_rank * np.minimum(places, 1)
    if len(ties.shared):
        groups, places = ties.several, places[ties.shared]
        share, slope = _shares(groups)
        # P@k at a group's i-th place, if that is relevant: (found + 1 + slope (i - 1)) / (better+i)
        ranks = _inverse_ranks(groups.better, groups.better + places)
        rest = (groups.found + 1 - slope * (groups.better + 1)) * ranks
        each[ties.shared] = share * (slope * places + rest)
    return ties.sum(each)


def _shares(ties: TieGroups) -> tuple[Floats, Floats]:
    """How likely one of a group is relevant, and how likely another is if that one is [G]."""
    others = (ties.relevant - 1) / np.maximum(ties.equal - 1, 1)
    return ties.relevant / ties.equal, others


def _inverse_ranks(low: Integers, high: Integers) -> Floats:
    """The sum of 1 / k over low < k <= high [G]; of one k it is that, to the last bit."""
    harmonic = _harmonic(int(high.max(initial=0)).bit_length())
    return np.where(high - low == 1, 1 / np.maximum(high, 1), harmonic[high] - harmonic[low])


def _gains(ties: TieGroups, tops: Sequence[TieGroups], cutoffs: Sequence[int]) -> list[Floats]:
    """For all ranks and for the first of each cutoff: DCG divided by the largest there could be."""
    every = int(ties.items.max(initial=0))
    best = _best_gains(ties, [every, *cutoffs])
    parts = zip([ties, *tops], [every, *cutoffs], best, strict=True)
    with np.errstate(divide="ignore", invalid="ignore"):  # see `score`
        return [np.minimum(_gain(part, first) / largest, 1.0) for part, first, largest in parts]


def _gain(ties: TieGroups, first: int) -> Floats:
    """DCG over the first ranks [B]."""
    discounts, sums = _discounts(int(ties.items.max(initial=0)).bit_length())
    weights = discounts[ties.better]
    if len(ties.shared):
        groups = ties.several
        places = groups.among(first)
        weights[ties.shared] = (sums[groups.better + places] - sums[groups.better]) / groups.equal
    return ties.sum(ties.gain * weights)


def _best_gains(ties: TieGroups, cutoffs: Sequence[int]) -> list[Floats]:
    """The largest DCG over so many ranks that any order of a query's items has, [B] for each."""
    discounts, sums = _discounts(int(ties.items.max(initial=0)).bit_length())
    if ties.grades.shape[1] == 1 and (ties.grades == 1).all():
        return [sums[np.minimum(ties.total, first)] for first in cutoffs]
    found = np.zeros((len(cutoffs), len(ties.items)))
    for row, (grades, counts) in enumerate(zip(ties.grades, ties.graded, strict=True)):
        ideal = np.repeat(grades, counts)
        gained = _running_sum(ideal * discounts[: len(ideal)])
        found[:, row] = gained[np.minimum(cutoffs, len(ideal))]
    return list(found)


def _first_found(ties: TieGroups, cutoffs: Sequence[int]) -> tuple[Floats, list[Floats]]:
    """1 / rank of the first relevant item [B], and whether it is among the first K, [B] for each K.

    Both 0 where there is none.
    """
    reciprocal, hits = np.zeros(len(ties.items)), np.zeros((len(cutoffs), len(ties.items)))
    groups = np.flatnonzero(np.diff(ties.query, prepend=-1))
    asked, better = ties.query[groups], ties.better[groups]
    equal, relevant = ties.equal[groups], ties.relevant[groups]
    reciprocal[asked] = 1 / (better + 1)
    hits[:, asked] = better < np.array(cutoffs, dtype=np.int64)[:, None]
    for row in np.flatnonzero(relevant < equal).tolist():
        chances = _first_places(int(equal[row]), int(relevant[row]))
        query, ahead = asked[row], int(better[row])
        reciprocal[query] = (chances / (ahead + np.arange(1, len(chances) + 1))).sum()
        for number, cutoff in enumerate(cutoffs):
            within = max(cutoff - ahead, 0)
            hits[number, query] = 1.0 if within >= len(chances) else chances[:within].sum()
    return reciprocal, list(hits)


def _first_places(equal: int, relevant: int) -> Floats:
    """How likely the first relevant one of a group stands at each place that it can stand at."""
    left = equal - np.arange(equal - relevant + 1)  # that may stand at a place or behind it
    chance = relevant / left
    missed = np.cumprod(1 - chance)
    return np.asarray(chance * np.concatenate([[1.0], missed[:-1]]))


def _running_sum(values: Floats) -> Floats:
    """The sum of the first n values for n from 0."""
    return np.concatenate([[0.0], np.cumsum(values)])


@lru_cache(2)
def _harmonic(bits: int) -> Floats:
    """The sum of 1 / k over the first n ranks, for n up to 2^bits."""
    return _running_sum(1 / np.arange(1, (1 << bits) + 1))


@lru_cache(2)
def _discounts(bits: int) -> tuple[Floats, Floats]:
    """1 / log2(k + 1) of the ranks k up to 2^bits, and the sums over the first n of them."""
    discounts = 1 / np.log2(np.arange(1 << bits) + 2.0)
    return discounts, _running_sum(discounts)
