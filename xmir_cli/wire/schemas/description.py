"""`xmir.description/1`: one term that is near to an image, or that two images share."""

from dataclasses import dataclass
from typing import ClassVar

from xmir_cli.wire.schema import COSINE, PATH, TEXT, Shows, key
from xmir_cli.wire.schemas.saliency import SaliencyRecord


@dataclass(frozen=True, eq=False, kw_only=True)
class DescriptionRecord(SaliencyRecord):
    """One term of an image, its `query_text`; the image is `retrieved`, as if asked for in words.

    Hence saliency, causal-metric and montage take it as they take a record of 'xmir query --text'.
    """

    NAME: ClassVar = "xmir.description/1"
    WRITTEN_BY: ClassVar = "describe"

    score: float | None = key(
        COSINE, "what the terms are ordered by: the similarity, of a pair the smaller of its two"
    )
    shared_with: str | None = key(PATH, "the other image of the pair", when="of a pair")
    shared_identity: str | None = key(
        TEXT,
        "which image that is, as retrieved_identity says it",
        when="of a pair",
        shows=Shows.MADE,
    )
    shared_similarity: float | None = key(
        COSINE, "cosine of the embeddings of the term and the other image", when="of a pair"
    )
