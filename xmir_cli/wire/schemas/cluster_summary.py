"""`xmir.cluster-summary/1`: one group of saliency maps or of images."""

from dataclasses import dataclass
from typing import ClassVar

from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import (
    NUMBER,
    NUMBERS,
    OBJECT,
    RANK,
    SETTINGS,
    TEXT,
    TEXTS,
    WHOLE,
    Shows,
    key,
)


@dataclass(frozen=True, eq=False, kw_only=True)
class ClusterSummaryRecord:
    """One group of maps of one method and its settings, or of images by their embeddings."""

    NAME: ClassVar = "xmir.cluster-summary/1"
    WRITTEN_BY: ClassVar = "cluster --summary"

    record: Record
    method: str | None = key(TEXT, "the saliency method", when="maps are grouped")
    variant: str | None = key(
        TEXT, "the settings in which it differs from others of this method", when="there are others"
    )
    explains: str | None = key(
        TEXT, "which image the maps explain", when="maps are grouped", shows=Shows.DETAIL
    )
    cluster: int | None = key(RANK, "the group's number, from 1, the largest")
    clusters: int | None = key(WHOLE, "how many groups there are")
    n: int | None = key(WHOLE, "maps or images in it")
    of: int | None = key(WHOLE, "in all groups")
    share: float | None = key(NUMBER, "n divided by `of`")
    images: int | None = key(WHOLE, "different images in it")
    patients: int | None = key(WHOLE, "patients of these", when="patients are known")
    labels: dict[str, dict[str, object]] | None = key(
        OBJECT,
        "of each label, the least likely first: n and share in the group, rest and rest_share in "
        "all others, p of Fisher's exact test of the two shares, p_holm corrected for all groups "
        "and labels; those without a label are left out, and each map counts as independent",
        shows=Shows.ROWS,
    )
    exemplars: list[str] | None = key(
        TEXTS, "ids, else paths, of the images nearest to the group's middle", shows=Shows.DETAIL
    )
    eigenvalues: list[float] | None = key(
        NUMBERS,
        "the smallest of the normalised Laplacian of the graph of neighbours: as many groups as "
        "lie below the widest gap",
    )
    clustering: dict[str, object] | None = key(
        SETTINGS, "how many groups were found, or asked for, by how many neighbours, and the seed"
    )
    settings: dict[str, object] | None = key(
        SETTINGS, "the method's settings", when="maps are grouped"
    )
