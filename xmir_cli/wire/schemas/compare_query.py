"""`xmir.compare-query/1`: what changed in the ranking of one query."""

from dataclasses import dataclass
from typing import ClassVar

from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import PATH, SHARE, TEXT, WHOLE, Shows, key


@dataclass(frozen=True, eq=False, kw_only=True)
class CompareQueryRecord:
    """One query under two models, those first that lost most."""

    NAME: ClassVar = "xmir.compare-query/1"
    WRITTEN_BY: ClassVar = "compare --per-query"

    record: Record
    query: str | None = key(PATH, "the query; none where words ask alone")
    query_text: str | None = key(TEXT, "the words that ask", when="there are any")
    query_id: str | None = key(TEXT, "its id", when="archives are compared")
    query_identity: str | None = key(
        TEXT, "SHA-256 of its file, #frame=N behind it for another picture", shows=Shows.MADE
    )
    query_label: str | None = key(TEXT, "its label")
    query_patient: str | None = key(TEXT, "its patient", when="it is known", shows=Shows.NOTHING)
    method: str | None = key(TEXT, "the saliency method", when="maps are compared")
    compared: int | None = key(WHOLE, "its maps that both have", when="maps are compared")
    rbo: float | None = key(
        SHARE, "rank-biased overlap, p = 0.9, extrapolated: 1 for equal rankings, 0 for disjoint"
    )
    came: int | None = key(WHOLE, "images among the first K, the largest K of --k, only now")
    went: int | None = key(WHOLE, "images among the first K only before")
    first_hit: str | None = key(
        TEXT,
        "right or wrong, or how it turned: right to wrong, right to none where nothing is found; "
        "null where a label is not known, or nothing is found under both",
    )

    OTHERS: ClassVar = {
        "overlap_at_K": "share of common images among the first K of both rankings",
        "NUMBER_old": "a number of retrieval-metric, or of scored maps, under the old model; null "
        "where it has none; of controls, and gains over them, an object: `energy_gain_old.center`",
        "NUMBER_new": "the same under the new one",
        "NUMBER_difference": "new less old",
        "spearman": "mean rank correlation of the two maps of a pair, as in sanity-check",
        "spearman_abs": "the same of absolute values",
        "ssim": "mean structural similarity of the two maps",
    }
