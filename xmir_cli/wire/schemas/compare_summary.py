"""`xmir.compare-summary/1`: two models over the same queries, or two files of maps."""

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
)


@dataclass(frozen=True, eq=False, kw_only=True)
class CompareSummaryRecord:
    """Numbers over all queries, of maps those of a method, with paired bootstrap intervals.

    Both models have the same queries: a resample draws the same patients of both.
    """

    NAME: ClassVar = "xmir.compare-summary/1"
    WRITTEN_BY: ClassVar = "compare --summary"

    record: Record
    old: str | None = key(PATH, "the first of the two")
    new: str | None = key(PATH, "the second of the two")
    method: str | None = key(TEXT, "the saliency method", when="maps are compared")
    variant: str | None = key(
        TEXT, "what tells it apart from others of its name", when="there are others"
    )
    mask_name: str | None = key(
        TEXT, "which of the images' masks", when="maps were placed with --by"
    )
    settings_old: dict[str, object] | None = key(
        SETTINGS,
        "the method's settings in OLD, without hashes of networks and indexes",
        when="maps are compared",
    )
    settings_new: dict[str, object] | None = key(
        SETTINGS, "the same in NEW", when="maps are compared"
    )
    protocol: str | None = key(TEXT, "who asks whom", when="archives are compared")
    exclude_same: str | None = key(
        TEXT, "the column of --exclude-same", when="archives are compared"
    )
    where: list[str] | None = key(
        TEXTS, "the conditions of --where", when="archives are compared", shows=Shows.MADE
    )
    sample: dict[str, object] | None = key(
        SETTINGS,
        "how many queries were drawn, and with which seed; null without --sample",
        when="archives are compared",
    )
    scoring: dict[str, object] | None = key(
        SETTINGS, "how maps were scored; null where they are not", when="maps are compared"
    )
    asked_old: dict[str, object] | None = key(
        SETTINGS,
        "by what OLD's queries were asked: what `asked` of their records says, and what moved "
        "them; a list where that is not the same for all",
        when="records of hits are compared that tell it",
    )
    asked_new: dict[str, object] | None = key(
        SETTINGS, "the same of NEW", when="records of hits are compared that tell it"
    )
    images_sha256: str | None = key(
        TEXT,
        "of archives which images these are, as retrieval-metric tells it; of maps which pairs, as "
        "causal-metric does; of records of hits SHA-256 over a sorted line each, of the identity, "
        "the words and the region of a query, and an empty line",
        shows=Shows.MADE,
    )
    compared: int | None = key(WHOLE, "queries, of maps pairs, that both have")
    only_old: int | None = key(
        WHOLE, "images, queries or maps that the new one has not: missing there"
    )
    only_new: int | None = key(WHOLE, "those that the old one has not: missing there")
    failed: int | None = key(
        WHOLE,
        "rows or records of either that cannot be read, or have no number where the other has",
    )
    agreements: int | None = key(
        WHOLE, "pairs of which both maps are there, in one size", when="maps are compared"
    )
    rbo: float | None = key(
        NUMBER, "mean rank-biased overlap, p = 0.9, extrapolated", when="rankings are compared"
    )
    came: float | None = key(
        NUMBER, "mean number of images among the first K only now", when="rankings are compared"
    )
    went: float | None = key(
        NUMBER, "mean number of images among the first K only before", when="rankings are compared"
    )
    right_to_wrong: int | None = key(
        WHOLE,
        "queries whose first hit had a label of theirs, and has none now or is not there any more",
    )
    wrong_to_right: int | None = key(WHOLE, "the other way round")
    queries: int | None = key(WHOLE, "queries that the numbers of retrieval-metric are over")
    dropped: int | None = key(WHOLE, "labelled queries without any relevant image")
    macro: dict[str, float | None] | None = key(
        OBJECT, "means of the labels' means", shows=Shows.ROWS
    )
    labels: dict[str, object] | None = key(
        OBJECT,
        "the same numbers by label: over the queries that have it, as if they had no other one",
        shows=Shows.ROWS,
    )
    intervals: dict[str, object] | None = key(
        SETTINGS, "of what they are, patients, queries or images, and of how many resamples"
    )
    model_old: ModelSpec | None = key(MODEL, "the old network")
    model_new: ModelSpec | None = key(MODEL, "the new network")

    OTHERS: ClassVar = {
        "overlap_at_K": "mean share of common images among the first K of both rankings",
        "spearman": "mean rank correlation of the two maps of a pair, as in sanity-check",
        "spearman_abs": "the same of absolute values",
        "ssim": "mean structural similarity of the two maps",
        "NUMBER_low": "the lower end of the 95 % interval of a number",
        "NUMBER_high": "the upper end",
        "NUMBER_old": "a number of retrieval-metric, or of scored maps, under the old model; of "
        "controls, and gains over them, an object, as all of these: `energy_gain_old.center`",
        "NUMBER_new": "the same under the new one",
        "NUMBER_difference": "new less old",
        "NUMBER_difference_low": "the lower end of its 95 % interval",
        "NUMBER_difference_high": "the upper end",
        "excluding_same_COLUMN": "the same numbers without neighbours of the same value",
        "including_same_COLUMN": "the same numbers with them",
    }
