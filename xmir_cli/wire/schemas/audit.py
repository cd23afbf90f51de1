"""`xmir.audit/1`: one thing that is wrong with an image of an archive."""

from dataclasses import dataclass
from typing import ClassVar

from xmir_cli.wire.schema import FLAG, NUMBER, TEXT, WHOLE, Shows, key, one_of
from xmir_cli.wire.schemas.retrieval import RetrievalRecord


@dataclass(frozen=True, eq=False, kw_only=True)
class AuditRecord(RetrievalRecord):
    """A finding as a pair: the query is the image that it is about, the retrieved one says why.

    Of a duplicate and a leak that is one that stays, of a label the nearest image of another
    patient that holds the likely one, or a copy of another label, of all others the nearest of
    another patient; where there is none, the image itself.
    """

    NAME: ClassVar = "xmir.audit/1"
    WRITTEN_BY: ClassVar = "audit"

    finding: str | None = key(
        one_of("duplicate", "leak", "label", "outlier", "hub", "unreached"), "what it is"
    )
    why: str | None = key(TEXT, "why, in words")
    leave_out: bool | None = key(
        FLAG, "whether --exclude-to lists it: an archive without this fault lacks the image"
    )
    hash_bits: int | None = key(
        WHOLE,
        "in how many of 64 bits the hashes of the two differ, as they lie or turned",
        when="copies that were looked at, and are compared with each other",
    )
    group: int | None = key(
        WHOLE, "which images are copies of each other, from 1", when="a duplicate"
    )
    likely_label: str | None = key(TEXT, "what its neighbours hold", when="a label that they doubt")
    probability: float | None = key(
        NUMBER, "of that, by their calibrated votes", when="a label that they doubt"
    )
    own_probability: float | None = key(
        NUMBER, "of its own label, the likeliest of several", when="a label that they doubt"
    )
    distance: float | None = key(
        NUMBER, "1 - its mean similarity to its nearest of other patients", when="an outlier"
    )
    percentile: float | None = key(
        NUMBER, "the share of the archive, in percent, that has less", when="an outlier"
    )
    occurrences: int | None = key(
        WHOLE, "how many images have it among their nearest", when="a hub, or unreached"
    )
    query_bytes: int | None = key(
        WHOLE,
        "the size of the query's file, by which --exclude knows what to look at",
        when="the file is there",
        shows=Shows.NOTHING,
    )
