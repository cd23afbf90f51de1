"""`xmir.cluster/1`: a saliency map, or an image, and the group that it is in."""

from dataclasses import dataclass
from typing import ClassVar

from xmir_cli.wire.schema import FLAG, NUMBER, RANK, SETTINGS, Shows, key
from xmir_cli.wire.schemas.localization import LocalizationRecord


@dataclass(frozen=True, eq=False, kw_only=True)
class ClusterRecord(LocalizationRecord):
    """A saliency record, scored or not, with the group that its map is in.

    A row of embeddings is a pair with itself, without a map.
    """

    NAME: ClassVar = "xmir.cluster/1"
    WRITTEN_BY: ClassVar = "cluster"

    cluster: int | None = key(RANK, "its group among those of its method, from 1, the largest")
    exemplar: bool | None = key(FLAG, "whether it is one of those nearest to the group's middle")
    middle_distance: float | None = key(
        NUMBER,
        "Euclidean distance to that: of maps as 16 x 16 block means of sum 1, or of embeddings",
        shows=Shows.DETAIL,
    )
    clustering: dict[str, object] | None = key(
        SETTINGS, "how many groups were found, or asked for, by how many neighbours, and the seed"
    )
