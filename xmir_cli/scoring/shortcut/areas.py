"""The part of a picture that is hidden or suspected, in the frame that the network sees.

It is one for all images: a part that differed from image to image would tell by its outline what
it hides. Of masks it is what any image's mask covers.
"""

from dataclasses import dataclass

import numpy as np

from xmir_cli.arrays import Booleans
from xmir_cli.errors import SettingError
from xmir_cli.scoring.shortcut.names import PartShape

_SQUARE = 0.15  # of the side: of the squares that are hidden elsewhere


def draw_part(shape: PartShape, size: int) -> Booleans:
    """The pixels [size, size] of a part, at least one wide."""
    width = max(1, round(shape.share * size))
    if shape.kind == "center":
        first = (size - width) // 2
        inner = np.zeros(size, dtype=bool)
        inner[first : first + width] = True
        return np.logical_and.outer(inner, inner)
    outer = np.zeros(size, dtype=bool)
    outer[:width], outer[size - width :] = True, True
    both = np.logical_or if shape.kind == "border" else np.logical_and
    return np.asarray(both.outer(outer, outer))


def draw_elsewhere(area: Booleans, count: int, seed: int) -> list[Booleans]:
    """As many pixels outside of an area [S, S], `count` times: squares at random places."""
    random, size = np.random.default_rng(seed), len(area)
    side = max(1, round(_SQUARE * size))
    found = []
    for _ in range(count):
        hidden, left = np.zeros_like(area), int(area.sum())
        while left:
            top, start = random.integers(1 - side, size, size=2)
            square = np.zeros_like(area)
            square[max(top, 0) : top + side, max(start, 0) : start + side] = True
            new = np.flatnonzero(square & ~area & ~hidden)[:left]
            hidden.ravel()[new] = True
            left -= len(new)
        found.append(hidden)
    return found


@dataclass(frozen=True)
class HiddenParts:
    """What is hidden of every image, [S, S] each."""

    suspect_name: str
    suspect: Booleans
    object_name: str
    object: Booleans
    elsewhere: list[Booleans]

    @property
    def hidings(self) -> list[Booleans]:
        """All of them: the object, the suspect, and as much as that elsewhere."""
        return [self.object, self.suspect, *self.elsewhere]


def refuse_extremes(area: Booleans, setting: str, most: float, why: str) -> None:
    """Raise SettingError for an area of nothing, or of more than a share of what is seen."""
    share = float(area.mean())
    if not share:
        raise SettingError(setting, "nothing of it lies in what the network sees")
    if share > most:
        told = f"it covers {share:.0%} of what the network sees: {why}"
        raise SettingError(setting, told, "Name a smaller part.")
