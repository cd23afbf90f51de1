"""Images that are there more than once: one file, or vectors that are one but for rounding."""

from collections.abc import Iterable, Sequence

import numpy as np

from xmir_cli.arrays import Integers
from xmir_cli.atlas.nearest import NearRows
from xmir_cli.atlas.points import row_blocks
from xmir_cli.gallery.vectors import Vectors

ROUNDING = 1e-6  # what a similarity may lack to 1


def duplicate_groups(
    identities: Sequence[str | None], vectors: Vectors, near: NearRows
) -> Integers:
    """The group of each image [N], from 1 in the order of their first images; 0: it is alone.

    Images are in one group when they have one identity, one vector, or a similarity of 1 within
    rounding; and whoever is in a group with another brings its own along.

    Args:
        identities: Which image each is, None where nobody knows.
        vectors: Unit vectors [N, D].
        near: The nearest of each.
    """
    chiefs = np.arange(len(vectors))
    for first, second in _same(enumerate(each or None for each in identities)):
        join(chiefs, first, second)
    for first, second in _same(_hashes(vectors)):
        join(chiefs, first, second)
    for first, place in zip(*np.nonzero(near.similarities >= 1 - ROUNDING), strict=True):
        join(chiefs, int(first), int(near.rows[first, place]))
    chiefs = np.array([chief_of(chiefs, row) for row in range(len(chiefs))])
    sizes = np.bincount(chiefs, minlength=len(chiefs))
    numbers = np.cumsum(sizes > 1) * (sizes > 1)  # a chief is the first of its group
    return np.asarray(numbers[chiefs], dtype=np.int64)


def _hashes(vectors: Vectors) -> Iterable[tuple[int, int]]:
    for rows in row_blocks(len(vectors)):
        for row, vector in enumerate(np.asarray(vectors[rows]), rows.start):
            yield row, hash(vector.tobytes())


def _same(values: Iterable[tuple[int, object]]) -> Iterable[tuple[int, int]]:
    """Each row with the first one that has its value."""
    firsts: dict[object, int] = {}
    for row, value in values:
        first = firsts.setdefault(value, row) if value is not None else row
        if first != row:
            yield first, row


def join(chiefs: Integers, first: int, second: int) -> None:
    """Let two images, and whoever is in a group with them, be one group; `chiefs` [N] changes."""
    one, other = sorted((chief_of(chiefs, first), chief_of(chiefs, second)))
    chiefs[other] = one


def chief_of(chiefs: Integers, row: int) -> int:
    """The first image of the group that an image is in."""
    while chiefs[row] != row:
        chiefs[row] = chiefs[chiefs[row]]
        row = int(chiefs[row])
    return row
