"""`xmir.compare/1`: a hit, or a map, as one of two models has it."""

from dataclasses import dataclass
from typing import ClassVar

from xmir_cli.wire.schema import OBJECT, RANK, SHARE, TEXT, Shows, key, one_of
from xmir_cli.wire.schemas.saliency import SaliencyRecord


@dataclass(frozen=True, eq=False, kw_only=True)
class CompareRecord(SaliencyRecord):
    """A retrieved image of a query under one of two models, or a map that one of them made.

    Each is there twice, once of the old and once of the new model, with its own `model`: so
    `saliency` makes the maps of both, and `montage` draws them side by side. A map's record keeps
    what its scoring added.
    """

    NAME: ClassVar = "xmir.compare/1"
    WRITTEN_BY: ClassVar = "compare"

    query_id: str | None = key(
        TEXT, "the query's id", when="archives are compared", shows=Shows.NOTHING
    )
    side: str | None = key(one_of("old", "new"), "of which of the two this is")
    change: str | None = key(
        one_of("came", "went", "stayed"),
        "what became of the hit among the first K of the query, the largest K of --k",
        when="hits are compared",
    )
    rank_old: int | None = key(
        RANK,
        "its place under the old model; null beyond the first 100, or what the records tell",
        when="hits are compared",
    )
    rank_new: int | None = key(RANK, "the same under the new model", when="hits are compared")
    rbo: float | None = key(
        SHARE, "rank-biased overlap of the query's two rankings", when="hits are compared"
    )
    first_hit: str | None = key(
        TEXT,
        "right or wrong, or how it turned: right to wrong, right to none where nothing is found; "
        "null where a label is not known, or nothing is found under both",
        when="hits are compared",
    )
    agreement: dict[str, float | None] | None = key(
        OBJECT,
        "of the two maps, as sanity-check has it: spearman, spearman_abs, ssim",
        when="maps are compared and both files are there",
        shows=Shows.DETAIL,
    )
    differences: dict[str, float] | None = key(
        OBJECT,
        "new less old, of every number that both records have",
        when="maps are compared",
        shows=Shows.DETAIL,
    )

    OTHERS: ClassVar = {"overlap_at_K": "share of common images among the first K of both rankings"}
