"""The classes of an atlas: the mean of each label's vectors, and its image nearest to that."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xmir_cli.arrays import Booleans, Floats
from xmir_cli.atlas.points import row_blocks
from xmir_cli.gallery.vectors import Vectors
from xmir_cli.labels import LabelSets, parse_labels

MOST = 100  # classes, those with the most images


@dataclass(frozen=True, eq=False)
class LabelClass:
    """The images of one label."""

    label: str
    members: Booleans  # [N]
    nearest: int  # the row of the image nearest to the class's centroid
    similarity: float  # of that image to the centroid, -1 to 1


def find_classes(labels: Sequence[str | None], vectors: Vectors) -> list[LabelClass]:
    """A class for each label, the largest first; an image of `A|B` is of both.

    Args:
        labels: Of each image [N], None where it has none.
        vectors: Unit vectors [N, D].
    """
    sets = LabelSets(labels)
    names = list(count_labels(labels))[:MOST]
    members = np.array([sets.grade(frozenset({name})) > 0 for name in names])  # [K, N]
    return [
        LabelClass(name, of_class, *_nearest(vectors, of_class, centroid))
        for name, of_class, centroid in zip(
            names, members, _centroids(vectors, members), strict=True
        )
    ]


def count_labels(labels: Sequence[str | None]) -> dict[str, int]:
    """How many images have each label, the most frequent first."""
    counts: dict[str, int] = {}
    for text in labels:
        for name in parse_labels(text):
            counts[name] = counts.get(name, 0) + 1
    return dict(sorted(counts.items(), key=lambda each: (-each[1], each[0])))


def _centroids(vectors: Vectors, members: Booleans) -> Floats:
    """The means [K, D] of the members' vectors, at length 1; zero where they cancel each other."""
    totals = np.zeros((len(members), vectors.shape[1]))
    for rows in row_blocks(len(vectors) if len(members) else 0):
        totals += members[:, rows].astype(np.float64) @ vectors[rows]
    lengths = np.linalg.norm(totals, axis=1, keepdims=True)
    return np.asarray(totals / np.where(lengths > 0, lengths, 1))


def _nearest(vectors: Vectors, members: Booleans, centroid: Floats) -> tuple[int, float]:
    rows = np.flatnonzero(members)
    parts = [vectors[rows[part]] @ centroid for part in row_blocks(len(rows))]
    similarities = np.concatenate(parts)
    best = int(np.argmax(similarities))
    return int(rows[best]), float(np.clip(similarities[best], -1, 1))  # rounding adds to it
