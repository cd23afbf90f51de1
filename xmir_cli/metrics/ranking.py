"""The numbers of a ranking: mAP, P@K and their kin, each a line of the docstring and of `score`.

For a query with R relevant items among the gallery without the query itself, h_k in {0, 1} the
relevance at rank k, and P@k = (h_1 + ... + h_k) / k:

    map          AP = 1/R sum_k h_k P@k, over the whole ranking
    p_at_K       P@K
    r_precision  P@R
    map_at_r     1/R sum_{k <= R} h_k P@k
    mrr          1 / rank of the first relevant item
    recall_at_K  1 when any of the first K is relevant (hit rate)

A query with R = 0 has no numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from xmir_cli.arrays import Booleans, Floats, Integers

Mode = Literal["standard", "x-mir"]


@dataclass(frozen=True)
class Measures:
    """What to compute: the Ks of p_at_K and recall_at_K, and whose `map`."""

    cutoffs: Sequence[int]
    mode: Mode = "standard"  # x-mir: the released evaluator's, see `interpolated_precision`

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of `score`."""
        precisions = (f"p_at_{cutoff}" for cutoff in self.cutoffs)
        recalls = (f"recall_at_{cutoff}" for cutoff in self.cutoffs)
        return ("map", *precisions, "r_precision", "map_at_r", "mrr", *recalls)


@dataclass(frozen=True)
class Ranking:
    """A block of rankings [B, N], best first: which items are relevant, which count at all."""

    relevant: Booleans
    counted: Booleans


def score(ranking: Ranking, measures: Measures) -> Floats:
    """The numbers [B, M] of each ranking in the order of `measures.names`; NaN when R = 0."""
    hits = ranking.relevant & ranking.counted  # [B, N]
    rank = np.cumsum(ranking.counted, axis=1, dtype=np.int64)  # from 1, of the items that count
    total = hits.sum(axis=1)  # R, [B]
    with np.errstate(divide="ignore", invalid="ignore"):  # R = 0 gives the NaN that is wanted
        precision = np.where(hits, np.cumsum(hits, axis=1) / rank, 0.0)  # P@k of relevant items
        within = rank <= total[:, None]
        average = precision.sum(axis=1) / total
        if measures.mode == "x-mir":
            average = interpolated_precision(hits, rank)
        tops = [(hits & (rank <= cutoff)).sum(axis=1) for cutoff in measures.cutoffs]
        columns = [
            average,
            *(top / cutoff for top, cutoff in zip(tops, measures.cutoffs, strict=True)),
            (hits & within).sum(axis=1) / total,
            (precision * within).sum(axis=1) / total,
            np.where(hits, 1 / rank, 0.0).max(axis=1, initial=0.0),
            *((top > 0).astype(float) for top in tops),
        ]
    values = np.stack(columns, axis=1)
    values[total == 0] = np.nan
    return values


def interpolated_precision(hits: Booleans, rank: Integers) -> Floats:
    """The released X-MIR evaluator's AP [B]: the query counts as relevant and stands last.

    With the R + 1 relevant items at ranks rho_0 < rho_1 < ... from 0:
    AP' = 1 / (R + 1) sum_j (j / rho_j + (j + 1) / (rho_j + 1)) / 2, j / rho_j := 1 at rho_j = 0.
    A perfect ranking of 100 relevant in 300 images has 0.993322, not 1. Ranks [B, N] start from 1.
    """
    found = np.cumsum(hits, axis=1)  # j + 1
    before = np.where(rank > 1, (found - 1) / np.maximum(rank - 1, 1), 1.0)
    terms = np.where(hits, (before + found / np.maximum(rank, 1)) / 2, 0.0).sum(axis=1)
    total, length = hits.sum(axis=1), rank[:, -1]
    last = (total / np.maximum(length, 1) + (total + 1) / (length + 1)) / 2
    return np.asarray((terms + last) / (total + 1), dtype=np.float64)
