"""`xmir.audit-summary/1`: what an audit counts."""

from dataclasses import dataclass
from typing import ClassVar

from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import (
    FLAG,
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

_COPIES, _LEAKS, _LABELS = "duplicates are tested", "leaks are tested", "labels are tested"
_LOOKS = "duplicates, leaks or labels are tested"
_OUTLIERS, _HUBS = "outliers are tested", "hubs are tested"


@dataclass(frozen=True, eq=False, kw_only=True)
class AuditSummaryRecord:
    """Counts of an archive's faults, beside what they would be by chance and how they are told."""

    NAME: ClassVar = "xmir.audit-summary/1"
    WRITTEN_BY: ClassVar = "audit --summary"

    record: Record
    embeddings: str | None = key(PATH, "what was audited", shows=Shows.MADE)
    tests: list[str] | None = key(TEXTS, "what was looked for", shows=Shows.MADE)
    where: list[str] | None = key(TEXTS, "the conditions of --where", shows=Shows.MADE)
    no_images: bool | None = key(FLAG, "whether images were not to be read", shows=Shows.MADE)
    images_sha256: str | None = key(
        TEXT,
        "which images these are: SHA-256 over their sorted identities, a line each, and an empty "
        "line",
        shows=Shows.MADE,
    )
    images: int | None = key(WHOLE, "how many there are")
    skipped: int | None = key(WHOLE, "images that were left out, such as for a vector of zeros")
    patients: int | None = key(WHOLE, "of how many patients; images of nobody do not count")
    looked_at: int | None = key(WHOLE, "images whose hash is known", when=_LOOKS)
    unreadable: int | None = key(
        WHOLE,
        "images that could not be looked at, whose copies may be missed; null with --no-images",
        when=_LOOKS,
    )
    unreadable_causes: dict[str, int] | None = key(
        OBJECT, "how many of them by cause", when="there are any"
    )
    duplicates: int | None = key(
        WHOLE,
        "images that are a copy of one that stays; where none was looked at, those of equal files "
        "and embeddings alone",
        when=_COPIES,
    )
    duplicate_groups: int | None = key(WHOLE, "of how many different images", when=_COPIES)
    near_copies: int | None = key(
        WHOLE,
        "duplicates whose files and pixels differ; null with --no-images, or if none can be read",
        when=_COPIES,
    )
    similarity_limit: float | None = key(
        NUMBER,
        "what a near copy must be more similar than: 99.9 % of the pairs of different patients",
        when=_COPIES,
    )
    leaks: int | None = key(
        WHOLE,
        "images that another split knows, of those that would have to go; null where fewer than "
        "two splits are there",
        when=_LEAKS,
    )
    leaked_patients: int | None = key(
        WHOLE,
        "patients in several splits; null where no two splits have images of known patients",
        when=_LEAKS,
    )
    splits: dict[str, int] | None = key(
        OBJECT, "images of each split, Train being train", when="leaks are tested and a row has one"
    )
    suspect_labels: int | None = key(
        WHOLE,
        "images whose neighbours hold another label at least as probably as asked; null where no "
        "image has a label and a neighbour of another patient with one that is no copy of it, "
        "where all have the same labels, and where neighbours tell too little for any label to be "
        "so probable",
        when=_LABELS,
    )
    suspect_labels_expected: float | None = key(
        NUMBER, "how many there would be were labels drawn by these probabilities", when=_LABELS
    )
    label_conflicts: int | None = key(
        WHOLE,
        "images with a copy that holds other labels; null where no two images have different ones",
        when=_LABELS,
    )
    calibration_error: float | None = key(
        NUMBER,
        "how far the probability of the likeliest label is from how often it is right, in tenths; "
        "where images have several labels, that of every label; null where all have the same ones",
        when=_LABELS,
    )
    votes: dict[str, object] | None = key(
        SETTINGS,
        "the temperature and the doubt of the votes, by likelihood, and where images have several "
        "labels slope and shift of the log-odds",
        when=_LABELS,
    )
    outliers: int | None = key(
        WHOLE,
        "images beyond the fence; null where fewer than five have a neighbour of another patient",
        when=_OUTLIERS,
    )
    fence: float | None = key(
        NUMBER, "the mean distance to neighbours of other patients that they exceed", when=_OUTLIERS
    )
    hubs: int | None = key(
        WHOLE,
        "images in more than five times as many answers as the mean; null where none could be, "
        "as of no more than 5 N + 1 images of as many patients, with N neighbours each",
        when=_HUBS,
    )
    unreached: int | None = key(
        WHOLE,
        "images in none; null where none could be, for all of other patients are the neighbours of "
        "images of two patients",
        when=_HUBS,
    )
    skewness: float | None = key(
        NUMBER,
        "of how often images are in answers; about 0 where none is a hub; null where all images of "
        "other patients are the neighbours of each",
        when=_HUBS,
    )
    left_out: int | None = key(WHOLE, "images that --exclude-to lists")
    neighbours: dict[str, object] | None = key(
        SETTINGS,
        "how many of each image, by which column they are of other patients, and how they are "
        "found: exact, or a graph with its recall",
    )
    neighbors: int | None = key(WHOLE, "how many were asked for", shows=Shows.MADE)
    exclude_same: str | None = key(
        TEXT, "the column whose images are of one patient", shows=Shows.MADE
    )
    split: str | None = key(TEXT, "the column of splits; null without", shows=Shows.MADE)
    probability: float | None = key(
        NUMBER, "from which probability of another label on a label is in doubt", shows=Shows.MADE
    )
    fence_ranges: float | None = key(
        NUMBER, "how many interquartile ranges an outlier lies beyond", shows=Shows.MADE
    )
    model: ModelSpec | None = key(MODEL, "the network that embedded the images")
