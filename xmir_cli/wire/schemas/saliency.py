"""`xmir.saliency/1`: one saliency map of a pair."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from xmir_cli.wire.schema import (
    BOX,
    COSINE,
    OBJECT,
    PATH,
    PATHS,
    SETTINGS,
    SIZE,
    TEXT,
    WHOLE,
    Shows,
    key,
    one_of,
)
from xmir_cli.wire.schemas.retrieval import RetrievalRecord


@dataclass(frozen=True, eq=False, kw_only=True)
class SaliencyRecord(RetrievalRecord):
    """A retrieval record with one map of one of its images; a bare path is a pair with itself."""

    NAME: ClassVar = "xmir.saliency/1"
    WRITTEN_BY: ClassVar = "saliency"

    path: str | None = key(
        PATH, "the image, as it came", when="a bare path is explained", shows=Shows.NOTHING
    )
    similarity_check: float | None = key(
        COSINE, "the similarity computed again", shows=Shows.DETAIL
    )
    method: str = key(TEXT, "the saliency method", default="")
    settings: dict[str, object] | None = key(SETTINGS, "the method's settings, defaults included")
    explains: str = key(
        one_of("query", "retrieved"), "which image the map explains", default="retrieved"
    )
    saliency: str | None = key(
        PATH, "the map: .npy, float32 [H, W], raw and signed", shows=Shows.NOTHING
    )
    overlay: str | None = key(
        PATH, "the map drawn on the original image; null with --no-overlay", shows=Shows.NOTHING
    )
    roi: list[float] | None = key(
        BOX,
        "left, top, width, height of what the map covers, pixels of the original when upright; may "
        "reach beyond it",
    )
    image_size: list[int] | None = key(SIZE, "width and height of the original when upright")
    evaluations: int | None = key(
        WHOLE, "images that passed the network for this map", shows=Shows.DETAIL
    )
    details: dict[str, object] | None = key(
        OBJECT,
        "what the method says of its map: errors, what shares leave out, matches",
        shows=Shows.DETAIL,
    )
    negatives: list[str] | None = key(
        PATHS, "images that the pair is told apart from", when="--negative", shows=Shows.DETAIL
    )
    target: str | None = key(
        PATH,
        "the concept whose map it is, whatever the pair",
        when="--target",
        shows=Shows.DETAIL,
    )
    target_sha256: str | None = key(TEXT, "SHA-256 of its file", when="--target", shows=Shows.MADE)
    target_similarity: float | None = key(
        COSINE, "f . v, how far along the concept the explained image lies", when="--target"
    )
    contrast: str | None = key(
        PATH, "the image whose map is subtracted", when="--contrast", shows=Shows.DETAIL
    )

    @property
    def concept(self) -> str:
        """What the concept is called whose map it is; empty where it is of none."""
        return Path(self.target).stem if self.target else ""
