"""`xmir.atlas/1`: what a picture of the space of embeddings shows."""

from dataclasses import dataclass
from typing import ClassVar

from xmir_cli.wire.model import ModelSpec
from xmir_cli.wire.records import Record
from xmir_cli.wire.schema import (
    MODEL,
    NUMBER,
    NUMBERS,
    OBJECT,
    PATH,
    PATHS,
    SETTINGS,
    TEXTS,
    WHOLE,
    Shows,
    key,
    one_of,
)


@dataclass(frozen=True, eq=False, kw_only=True)
class AtlasRecord:
    """One atlas: how images were put into a plane, and what lies where; one record."""

    NAME: ClassVar = "xmir.atlas/1"
    WRITTEN_BY: ClassVar = "atlas"

    record: Record
    path: str | None = key(PATH, "the file that was written; the first of several")
    files: list[str] | None = key(PATHS, "all files that were written", shows=Shows.DETAIL)
    embeddings: str | None = key(PATH, "what was drawn")
    images: int | None = key(WHOLE, "images drawn")
    of: int | None = key(WHOLE, "images that the sample was drawn from", when="--sample")
    dim: int | None = key(WHOLE, "numbers of an embedding")
    method: str | None = key(one_of("pca", "tsne", "umap"), "how they were put into the plane")
    explained: list[float] | None = key(
        NUMBERS, "share of the variance along x and along y", when="--method pca"
    )
    settings: dict[str, object] | None = key(
        SETTINGS,
        "seed; of t-SNE and UMAP how many principal axes they worked on, what share of the "
        "variance those kept, and the library's own perplexity or number of neighbours",
    )
    colors: list[str] | None = key(TEXTS, "the columns of the colours")
    classes: dict[str, dict[str, object]] | None = key(
        OBJECT,
        "of each label, the largest first: images, outliers and duplicates of it; nearest, the id "
        "of its image nearest to the class's centroid, with its x and y and their similarity; "
        "mean_place, the mean x and y of its images (of PCA the place of their mean vector)",
        shows=Shows.ROWS,
    )
    outliers: int | None = key(WHOLE, "images that are ringed because they lie apart")
    duplicates: int | None = key(WHOLE, "images that are there more than once")
    duplicate_groups: int | None = key(WHOLE, "different images among those")
    neighbours: dict[str, object] | None = key(
        SETTINGS,
        "how many each image has at most; the column whose equal values do not count for "
        "outliers; whether by exact search or a graph, and the recall of that",
    )
    thumbnails: int | None = key(WHOLE, "pictures drawn in small")
    unreadable: dict[str, int] | None = key(
        SETTINGS, "pictures that could not be read, by cause", when="there are any"
    )
    similarity: float | None = key(
        NUMBER, "mean similarity of an image to its nearest, of other patients where known"
    )
    model: ModelSpec | None = key(MODEL, "the network of the embeddings")
