"""The images of an archive, looked at once each: their hash, and their pixels where that is asked.

Only images that may be copies of another are looked at.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from xmir_cli.arrays import Booleans, Floats
from xmir_cli.audit.archive import Archive
from xmir_cli.audit.hashes import frequencies_of
from xmir_cli.console import show
from xmir_cli.errors import ItemError
from xmir_cli.images.picture import Picture
from xmir_cli.pictures.batches import decode_all
from xmir_cli.pictures.files import open_image
from xmir_cli.pictures.view import view_picture
from xmir_cli.render.overlay import to_rgb
from xmir_cli.wire.checks import check_identity


@dataclass(frozen=True, eq=False)
class Looked:
    """What was found of the images [N] of an archive."""

    frequencies: NDArray[np.float32]  # [N, 8, 8]; NaN of those that were not looked at
    pixels: dict[int, str] = field(default_factory=dict)  # by row: SHA-256 of all pixels in colour
    bad: dict[int, ItemError] = field(default_factory=dict)

    @property
    def known(self) -> Booleans:
        """Which images were looked at [N]."""
        return np.isfinite(self.frequencies[:, 0, 0])

    @property
    def causes(self) -> dict[str, int]:
        """How many could not be looked at, by cause."""
        return dict(Counter(str(error.cause) for error in self.bad.values()).most_common())

    def complaint(self, paths: Sequence[str]) -> str:
        """How many could not be looked at, why, and which was the first."""
        row, error = next(iter(self.bad.items()))
        causes = ", ".join(f"{count} {cause}" for cause, count in self.causes.items())
        of = len(self.bad) + int(self.known.sum())
        told = f"{len(self.bad)} of {of} images cannot be looked at ({causes})"
        return (
            f"{told}; {show(paths[row])}: {error.reason}; copies of them are told by equal files "
            "and equal embeddings alone"
        )


def look_at(
    archive: Archive,
    rows: Sequence[int],
    whole: Collection[int],
    jobs: int | None,
    advance: Callable[[int], None],
) -> Looked:
    """Look at some images; at half a JPEG's size is enough for a hash.

    Args:
        archive: Where they are.
        rows: Which of its images.
        whole: Those of them whose pixels are compared, so that they are decoded at full size.
        jobs: Threads that decode; None: one a processor.
        advance: Is told of each image that is done.
    """
    paths, identities, recipe = archive.paths, archive.identities, archive.model.preprocessing
    enough = replace(recipe, jpeg="reduced").enough
    found = nothing_looked_at(len(paths))

    def look(row: int) -> tuple[Floats, str]:
        file = open_image(paths[row])
        check_identity(identities[row], file.identity, paths[row])
        picture = file.decode(recipe.window, None if row in whole else enough)
        frequencies = frequencies_of(view_picture(picture, recipe).pixels)
        return frequencies, _digest(picture) if row in whole else ""

    for row, each in zip(rows, decode_all(rows, look, jobs), strict=True):
        if isinstance(each, ItemError):
            found.bad[row] = each
        else:
            found.frequencies[row] = each[0]
            found.pixels.update({row: each[1]} if each[1] else {})
        advance(1)
    return found


def nothing_looked_at(count: int) -> Looked:
    """What is known of so many images before anybody looked."""
    return Looked(np.full((count, 8, 8), np.nan, dtype=np.float32))


def _digest(picture: Picture) -> str:
    """SHA-256 of the pixels [H, W, 3], so that a grey picture in colours is the grey one."""
    pixels = np.ascontiguousarray(to_rgb(picture.pixels))
    return hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).hexdigest()
