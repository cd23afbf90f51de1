"""`xmir.retrieval-metric/1`: how good the rankings of a set are."""

from dataclasses import dataclass
from typing import ClassVar

from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import (
    MODEL,
    NUMBER,
    OBJECT,
    PATH,
    SETTINGS,
    TEXT,
    TEXTS,
    WHOLE,
    Shows,
    key,
    one_of,
)


@dataclass(frozen=True, eq=False, kw_only=True)
class RetrievalMetricRecord:
    """The numbers of one evaluation: means over queries, `macro` and by label below."""

    NAME: ClassVar = "xmir.retrieval-metric/1"
    WRITTEN_BY: ClassVar = "retrieval-metric"

    record: Record
    embeddings: str | None = key(PATH, "what was evaluated")
    gallery: str | None = key(PATH, "the searched set; null where it is the same")
    protocol: str | None = key(one_of("loo", "query-gallery"), "who asks whom")
    map_mode: str | None = key(one_of("standard", "x-mir"), "how average precision is taken")
    exclude_same: str | None = key(TEXT, "the column of --exclude-same")
    where: list[str] | None = key(TEXTS, "the conditions of --where", shows=Shows.MADE)
    gallery_size: int | None = key(WHOLE, "images that can be found")
    images_sha256: str | None = key(
        TEXT,
        "which images these are: SHA-256 over the sorted identities of the queries, a line each, "
        "an empty line, and those of the images that can be found",
        shows=Shows.MADE,
    )
    unlabelled: int | None = key(WHOLE, "queries left out because they have no label")
    sample: dict[str, object] | None = key(
        SETTINGS,
        "how many queries were asked, of how many, drawn how and with which seed; of what the "
        "intervals are, patients or queries; null without --sample",
    )
    queries: int | None = key(WHOLE, "queries that the means are over")
    dropped: int | None = key(
        WHOLE, "queries without any relevant image; none of them with map_mode x-mir"
    )
    tied_pairs: float | None = key(
        NUMBER,
        "share of the pairs of a relevant image and another that are equally similar to the query; "
        "every number is the mean over the orders of such ties",
    )
    unasked_labels: list[str] | None = key(
        TEXTS,
        "labels that some queries have and none that was asked; `macro` is null then",
        when="--sample",
    )
    map: float | None = key(NUMBER, "mean average precision")
    mrr: float | None = key(NUMBER, "mean reciprocal rank of the first relevant image")
    r_precision: float | None = key(NUMBER, "precision at R, the number of relevant images")
    map_at_r: float | None = key(NUMBER, "mean average precision at R")
    ndcg: float | None = key(
        NUMBER,
        "normalised discounted cumulative gain over the whole ranking; the gain of an image is the "
        "Jaccard index of its labels and the query's",
    )
    macro: dict[str, float | None] | None = key(
        OBJECT, "means of the labels' means", shows=Shows.ROWS
    )
    labels: dict[str, object] | None = key(
        OBJECT,
        "the same numbers by label: means over the queries that have it, each as if it had no "
        "other label",
        shows=Shows.ROWS,
    )
    near_duplicates: dict[str, object] | None = key(
        OBJECT,
        "how many queries have an item that is nearly the same, or the same image",
        shows=Shows.DETAIL,
    )
    model: ModelSpec | None = key(MODEL, "the network of the embeddings")

    OTHERS: ClassVar = {
        "p_at_K": "precision among the K nearest",
        "recall_at_K": "whether any of the K nearest is relevant",
        "ndcg_at_K": "ndcg of the K nearest",
        "NUMBER_low": "the lower end of its 95 % interval, with --sample; `macro`, `labels` too",
        "NUMBER_high": "the upper end",
        "excluding_same_COLUMN": "the same numbers without neighbours of the same value",
        "including_same_COLUMN": "the same numbers with them",
    }
