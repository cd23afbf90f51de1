"""`xmir.retrieval-query/1`: how good the ranking of one query is."""

from dataclasses import dataclass
from typing import ClassVar

from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import MODEL, NUMBER, PATH, TEXT, TEXTS, WHOLE, Shows, key, one_of


@dataclass(frozen=True, eq=False, kw_only=True)
class RetrievalQueryRecord:
    """The numbers of one query, of which those of `xmir.retrieval-metric/1` are the means.

    They are null where nothing relevant is to be found.
    """

    NAME: ClassVar = "xmir.retrieval-query/1"
    WRITTEN_BY: ClassVar = "retrieval-metric --per-query"

    record: Record
    query: str | None = key(PATH, "the query")
    id: str | None = key(TEXT, "its id")
    query_identity: str | None = key(
        TEXT, "SHA-256 of its file, #frame=N behind it for another picture", shows=Shows.MADE
    )
    query_label: str | None = key(TEXT, "its label")
    query_patient: str | None = key(TEXT, "its patient", when="it is known", shows=Shows.NOTHING)
    protocol: str | None = key(one_of("loo", "query-gallery"), "who asks whom", shows=Shows.DETAIL)
    map_mode: str | None = key(
        one_of("standard", "x-mir"), "how average precision is taken", shows=Shows.DETAIL
    )
    exclude_same: str | None = key(TEXT, "the column of --exclude-same", shows=Shows.DETAIL)
    where: list[str] | None = key(TEXTS, "the conditions of --where", shows=Shows.MADE)
    gallery: str | None = key(
        PATH, "the searched set; null where it is the same", shows=Shows.NOTHING
    )
    gallery_size: int | None = key(WHOLE, "images in the searched set", shows=Shows.DETAIL)
    map: float | None = key(NUMBER, "average precision")
    mrr: float | None = key(NUMBER, "1 / rank of the first relevant image")
    r_precision: float | None = key(NUMBER, "precision at R, the number of relevant images")
    map_at_r: float | None = key(NUMBER, "average precision at R")
    ndcg: float | None = key(NUMBER, "normalised discounted cumulative gain")
    model: ModelSpec | None = key(MODEL, "the network of the embeddings")

    OTHERS: ClassVar = {
        "p_at_K": "precision among the K nearest",
        "recall_at_K": "whether any of the K nearest is relevant",
        "ndcg_at_K": "ndcg of the K nearest",
    }
