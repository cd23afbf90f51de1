"""`xmir.audit-query/1`: what an audit measures of one image."""

from dataclasses import dataclass
from typing import ClassVar

from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import MODEL, NUMBER, PATH, TEXT, TEXTS, WHOLE, Shows, key

_LABELS, _OUTLIERS = "labels are tested", "outliers are tested"


@dataclass(frozen=True, eq=False, kw_only=True)
class AuditQueryRecord:
    """The numbers by which one image is a finding or none, in the order of the archive."""

    NAME: ClassVar = "xmir.audit-query/1"
    WRITTEN_BY: ClassVar = "audit --per-query"

    record: Record
    query: str | None = key(PATH, "the image")
    query_id: str | None = key(TEXT, "its id")
    query_identity: str | None = key(
        TEXT, "SHA-256 of its file, #frame=N behind it for another picture", shows=Shows.MADE
    )
    query_label: str | None = key(TEXT, "its label")
    query_patient: str | None = key(TEXT, "its patient", when="it is known", shows=Shows.NOTHING)
    split: str | None = key(TEXT, "its split", when="there is one")
    findings: list[str] | None = key(TEXTS, "what it is found to be; empty: nothing is wrong")
    group: int | None = key(
        WHOLE, "which images are copies of each other, from 1", when="it has a copy"
    )
    likely_label: str | None = key(
        TEXT, "the likeliest of the labels that it does not have", when=_LABELS
    )
    probability: float | None = key(
        NUMBER, "of that; null where no neighbour has a label", when=_LABELS
    )
    own_probability: float | None = key(
        NUMBER, "of its own label, the likeliest of several", when=_LABELS
    )
    distance: float | None = key(
        NUMBER, "1 - its mean similarity to its nearest of other patients", when=_OUTLIERS
    )
    percentile: float | None = key(
        NUMBER, "the share of the archive, in percent, that has less", when=_OUTLIERS
    )
    occurrences: int | None = key(
        WHOLE, "how many images have it among their nearest", when="hubs are tested"
    )
    model: ModelSpec | None = key(MODEL, "the network that embedded the images")
