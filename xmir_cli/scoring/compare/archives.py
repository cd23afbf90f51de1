"""The same images under two models: rows are matched by what the images are, never by path."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from xmir_cli.causes import Cause
from xmir_cli.errors import DataError, ItemError
from xmir_cli.gallery.vectors import Vectors
from xmir_cli.pictures.identity import identity_of
from xmir_cli.retrieval.collection import take_rows
from xmir_cli.store.embeddings import Embeddings

_LeaveOut = Callable[[str, ItemError], None]  # name and cause
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

    def texts(self, column: str) -> list[str | None]:
        """What NEW says of each image in a column, or else OLD."""
        both = (texts_of(self.new, column), texts_of(self.old, column))
        return [new if new is not None else old for new, old in zip(*both, strict=True)]


def match_archives(old: Embeddings, new: Embeddings, leave_out: _LeaveOut) -> TwoArchives:
    """What both have; raises DataError where that is nothing.

    Copies of an image are told apart by the order of their ids. Rows whose image has no hash are
    left out: nobody knows whether the other has them.
    """
    before, after = (_list_images(each, leave_out) for each in (old, new))
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
        len(before) - len(shared),
        len(after) - len(shared),
        _count_relabelled(*kept),
    )


def texts_of(images: Embeddings, column: str) -> list[str | None]:
    """A column's values as text; all None where there is no such column."""
    if column not in images.items.column_names:
        return [None] * len(images.items)
    found = images.items[column].to_pylist()
    return [None if value in {None, ""} else str(value) for value in found]


def _list_images(images: Embeddings, leave_out: _LeaveOut) -> dict[_Image, int]:
    """The row of every image whose file's hash is known."""
    hashes, paths, ids = (texts_of(images, name) for name in ("sha256", "path", "id"))
    known = [row for row, sha256 in enumerate(hashes) if sha256]
    for row, sha256 in enumerate(hashes):
        if not sha256:
            reason = "sha256: expected the hash of the image's file, found nothing"
            leave_out(ids[row] or f"row {row + 1}", ItemError(Cause.BAD_RECORD, reason))
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
