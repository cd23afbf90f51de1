"""`xmir.sanity/1`: whether maps depend on what they claim to."""

from dataclasses import dataclass
from typing import ClassVar

from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import (
    MODEL,
    NUMBER,
    NUMBERS,
    PATH,
    SETTINGS,
    TEXT,
    TEXTS,
    WHOLE,
    Plot,
    Shows,
    key,
    one_of,
)


@dataclass(frozen=True, eq=False, kw_only=True)
class SanityRecord:
    """One test of one method over all pairs; of `model` one stage of the randomisation."""

    NAME: ClassVar = "xmir.sanity/1"
    WRITTEN_BY: ClassVar = "sanity-check"

    record: Record
    method: str | None = key(TEXT, "the saliency method")
    settings: dict[str, object] | None = key(SETTINGS, "its settings")
    test: str | None = key(
        one_of("model", "query", "repeat", "reproduce", "noise"),
        "what the maps are compared after: other weights, another query, another training, another "
        "architecture, noise",
    )
    mode: str | None = key(
        one_of("full", "cascading", "independent"), "what becomes random when", when="test model"
    )
    stage: str | None = key(
        TEXT, "the block that became random last; all: every weight is", when="test model"
    )
    position: int | None = key(
        WHOLE, "the stage's place, from 0: nothing is random", when="test model"
    )
    randomized: list[str] | None = key(
        TEXTS, "the blocks with random weights", when="test model", shows=Shows.DETAIL
    )
    other_query: str | None = key(
        one_of("another label", "another image"),
        "what asks instead: an image that shares no label with the query, or, where the queries "
        "have none, any other",
        when="test query",
        shows=Shows.DETAIL,
    )
    against: ModelSpec | None = key(MODEL, "the other network", when="test repeat or reproduce")
    noise: float | None = key(
        NUMBER,
        "how much was added at most, in shares of the range of pixels",
        when="test noise",
        shows=Shows.DETAIL,
    )
    draws: int | None = key(
        WHOLE, "how often, for each seed", when="test noise", shows=Shows.DETAIL
    )
    query: str | None = key(PATH, "the query whose maps these are", when="--per-query")
    query_identity: str | None = key(
        TEXT, "SHA-256 of its file", when="--per-query", shows=Shows.MADE
    )
    query_label: str | None = key(TEXT, "its label", when="--per-query")
    query_patient: str | None = key(
        TEXT, "its patient", when="--per-query and it is known", shows=Shows.NOTHING
    )
    n: int | None = key(WHOLE, "maps compared")
    spearman: float | None = key(NUMBER, "mean rank correlation with the maps as they were")
    spearman_abs: float | None = key(NUMBER, "the same of absolute values")
    ssim: float | None = key(NUMBER, "mean structural similarity")
    undefined: int | None = key(WHOLE, "maps without a rank correlation")
    change: float | None = key(
        NUMBER, "mean length of the map's change, divided by the map's", when="test noise"
    )
    change_max: float | None = key(
        NUMBER, "the same of each map's largest change", when="test noise"
    )
    seeds: int | None = key(
        WHOLE, "random networks, or how often others were drawn", when="anything is drawn"
    )
    seed_numbers: list[float] | None = key(
        NUMBERS, "their seeds", when="anything is drawn", shows=Shows.MADE
    )
    initialization: str | None = key(TEXT, "where random weights come from", when="test model")
    verdict: str | None = key(
        one_of("pass", "fail", "undefined"),
        "of a test; of `model` at the stage `all`, null elsewhere",
    )
    threshold: float | None = key(
        NUMBER,
        "the largest correlation that passes; of repeat and reproduce the smallest, of noise the "
        "largest change",
    )
    meaning: str | None = key(TEXT, "what the map is when it does not pass; null when it does")
    advice: str | None = key(TEXT, "what to try then", shows=Shows.DETAIL)
    images_sha256: str | None = key(
        TEXT,
        "which pairs these are: SHA-256 over a sorted line each, of the identities of the query "
        "and the retrieved image, and an empty line",
        shows=Shows.MADE,
    )
    model: ModelSpec | None = key(MODEL, "the network that the maps are of")
    plot: str | None = key(
        PATH,
        "the figure of all methods and stages, drawn once the check has ended",
        when="--plot",
        shows=Shows.NOTHING,  # a page draws its own
    )

    PLOTS: ClassVar = (Plot("position", ("spearman",), "method", names="stage"),)
    OTHERS: ClassVar = {"NUMBER_sd": "the standard deviation of a number"}
