"""`xmir.causal-summary/1`: the scored maps of one method."""

from dataclasses import dataclass
from typing import ClassVar

from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import NUMBER, OBJECT, PATH, SETTINGS, TEXT, WHOLE, Shows, key


@dataclass(frozen=True, eq=False, kw_only=True)
class CausalSummaryRecord:
    """Means over the maps of one method and its settings.

    With bootstrap intervals over the patients of the queries, over queries where nobody knows them.
    """

    NAME: ClassVar = "xmir.causal-summary/1"
    WRITTEN_BY: ClassVar = "causal-metric --summary"

    record: Record
    query: str | None = key(PATH, "the query whose maps these are", when="--per-query")
    query_text: str | None = key(TEXT, "its words", when="--per-query and there are any")
    query_identity: str | None = key(
        TEXT, "SHA-256 of its file", when="--per-query", shows=Shows.MADE
    )
    query_label: str | None = key(TEXT, "its label", when="--per-query")
    query_patient: str | None = key(
        TEXT, "its patient", when="--per-query and it is known", shows=Shows.NOTHING
    )
    method: str = key(TEXT, "the saliency method", default="")
    variant: str | None = key(
        TEXT, "the settings in which it differs from others of this method", when="there are others"
    )
    n: int | None = key(WHOLE, "maps")
    queries: int | None = key(WHOLE, "different queries")
    patients: int | None = key(
        WHOLE,
        "patients of the queries, over whom the intervals then are; a query of nobody counts as "
        "one",
        when="patients are known",
    )
    insertion: float | None = key(NUMBER, "mean area under the insertion curve")
    deletion: float | None = key(NUMBER, "mean area under the deletion curve")
    insertion_control: dict[str, float] | None = key(
        OBJECT, "the same of each control", when="--control"
    )
    deletion_control: dict[str, float] | None = key(
        OBJECT, "the same of each control", when="--control"
    )
    insertion_gain: dict[str, float] | None = key(
        OBJECT, "mean gain over each control", when="--control"
    )
    deletion_gain: dict[str, float] | None = key(
        OBJECT, "mean gain over each control", when="--control"
    )
    images_sha256: str | None = key(
        TEXT,
        "which pairs these are: SHA-256 over a sorted line each, of the identity of the query, its "
        "words, and the identity of the retrieved image, and an empty line",
        shows=Shows.MADE,
    )
    settings: dict[str, object] | None = key(SETTINGS, "the method's settings")
    causal: dict[str, object] | None = key(SETTINGS, "the parameters of the scoring")

    OTHERS: ClassVar = {
        "NUMBER_sd": "the standard deviation of a number",
        "NUMBER_low": "the lower end of its 95 % interval",
        "NUMBER_high": "the upper end",
    }
