"""The same images under two models: rows are matched by what the images are, never by path."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xmir_cli.errors import DataError
from xmir_cli.gallery.vectors import Vectors
from xmir_cli.pictures.identity import identity_of
from xmir_cli.retrieval.collection import take_rows
from xmir_cli.store.embeddings import Embeddings

_Image = tuple[str, int]  # its identity, and which of its copies by id


@dataclass(frozen=True)
class TwoArchives:
    """The images that both have, in the order of their identities; row i is the same image."""

    old: Embeddings
    new: Embeddings
    identities: Sequence[str]
    only_old: int  # images that the other has not
    only_new: int
    relabelled: int  # images that have another label in the new one

    @property
    def vectors(self) -> tuple[Vectors, Vectors]:
        """Those of both."""
        return self.old.vectors, self.new.vectors


def match_archives(old: Embeddings, new: Embeddings) -> TwoArchives:
    """What both have; raises DataError where that is nothing.

    Copies of an image are told apart by the order of their ids.
    """
    before, after = _list_images(old), _list_images(new)
    shared = sorted(before.keys() & after.keys())
    if not shared:
        raise DataError(
            "the two have no image in common",
            "Images are matched by the SHA-256 of their files, wherever these lie.",
        )
    rows = [np.array([each[image] for image in shared]) for each in (before, after)]
    kept = take_rows(old, rows[0]), take_rows(new, rows[1])
    return TwoArchives(
        *kept,
        [identity for identity, _ in shared],
        len(old.items) - len(shared),
        len(new.items) - len(shared),
        _count_relabelled(*kept),
    )


def texts_of(images: Embeddings, column: str) -> list[str | None]:
    """A column's values as text; all None where there is no such column."""
    if column not in images.items.column_names:
        return [None] * len(images.items)
    found = images.items[column].to_pylist()
    return [None if value in {None, ""} else str(value) for value in found]


def _list_images(images: Embeddings) -> dict[_Image, int]:
    """The row of every image whose file's hash is known."""
    hashes, paths, ids = (texts_of(images, name) for name in ("sha256", "path", "id"))
    known = [row for row, sha256 in enumerate(hashes) if sha256]
    found: dict[_Image, int] = {}
    counts: dict[str, int] = {}
    for row in sorted(known, key=lambda row: ids[row] or ""):
        identity = identity_of(hashes[row] or "", paths[row] or "")
        counts[identity] = counts.get(identity, 0) + 1
        found[identity, counts[identity]] = row
    return found


def _count_relabelled(old: Embeddings, new: Embeddings) -> int:
    before, after = texts_of(old, "label"), texts_of(new, "label")
    return sum(one != other for one, other in zip(before, after, strict=True) if one and other)
