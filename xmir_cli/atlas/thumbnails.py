"""Small pictures of images, read by the one door; a grey tile where one cannot be read."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw

from xmir_cli.arrays import Integers
from xmir_cli.console import show
from xmir_cli.errors import ItemError
from xmir_cli.pictures.batches import decode_all
from xmir_cli.pictures.files import open_image
from xmir_cli.pictures.identity import identity_of
from xmir_cli.render.overlay import to_rgb
from xmir_cli.wire.checks import check_identity

_GREY, _CROSS = 150, 110  # of the tile of what cannot be read
GROUND = 0  # beside a picture that is no square


@dataclass
class Thumbnails:
    """Reads and shrinks the images that items name."""

    paths: Sequence[str]  # [N]
    hashes: Sequence[str | None]  # SHA-256 of each file [N]
    window: str  # of deep greys
    drawn: set[int] = field(default_factory=set)
    bad: dict[int, ItemError] = field(default_factory=dict)  # by row

    def read(
        self, rows: Sequence[int], side: int, advance: Callable[[int], None] = lambda _: None
    ) -> list[Image.Image]:
        """A picture for each of the rows, `side` pixels high and wide, grey where it has no colour.

        It has nothing of what its file says beside its pixels.
        """
        tiles = []
        for row, found in zip(
            rows, decode_all(rows, lambda row: self._tile(row, side), None), strict=True
        ):
            if isinstance(found, ItemError):
                self.bad[row] = found
                tiles.append(_unreadable(side))
            else:
                self.drawn.add(row)
                tiles.append(found)
            advance(1)
        return tiles

    @property
    def causes(self) -> dict[str, int]:
        """How many could not be read, by cause."""
        return dict(Counter(str(error.cause) for error in self.bad.values()).most_common())

    def complaint(self) -> str:
        """How many could not be read and are grey, why, and which was the first."""
        row, error = next(iter(self.bad.items()))
        causes = ", ".join(f"{count} {cause}" for cause, count in self.causes.items())
        of = len(self.bad) + len(self.drawn)
        told = f"{len(self.bad)} of {of} pictures are grey, for they cannot be read ({causes})"
        return f"{told}; {show(self.paths[row])}: {error.reason}"

    def _tile(self, row: int, side: int) -> Image.Image:
        path, sha256 = self.paths[row], self.hashes[row]
        file = open_image(path)
        check_identity(identity_of(sha256, path) if sha256 else None, file.identity, path)
        small = to_rgb(file.decode(self.window, 2 * side).pixels)
        small.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3)
        pixels = np.asarray(small)
        is_grey = bool((pixels == pixels[..., :1]).all())
        tile = Image.new("L" if is_grey else "RGB", (side, side), GROUND)
        place = ((side - small.width) // 2, (side - small.height) // 2)
        tile.paste(Image.fromarray(pixels[..., 0]) if is_grey else small, place)
        return tile


def _unreadable(side: int) -> Image.Image:
    tile = Image.new("L", (side, side), _GREY)
    pen = ImageDraw.Draw(tile)
    pen.line((side // 4, side // 4, side * 3 // 4, side * 3 // 4), _CROSS, max(1, side // 24))
    pen.line((side // 4, side * 3 // 4, side * 3 // 4, side // 4), _CROSS, max(1, side // 24))
    return tile


def choose_rows(first: Sequence[Integers], count: int, most: int, seed: int = 0) -> list[int]:
    """Up to `most` of `count` rows: those named first, then others, each as likely as another."""
    rest = np.random.default_rng(seed).permutation(count)
    ordered = dict.fromkeys(int(row) for rows in (*first, rest) for row in rows)
    return list(ordered)[:most]
