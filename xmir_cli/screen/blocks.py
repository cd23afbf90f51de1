"""Pictures as text: two pixels a cell, the upper one in the colour of the letter, a half block."""

import numpy as np
from PIL import Image

_SEEN = 128  # from this opacity on a pixel is drawn
_UPPER, _LOWER = "▀", "▄"
_LEVELS = np.array([0, 95, 135, 175, 215, 255])  # of red, green and blue in 256 colours
_GREYS = 8 + 10 * np.arange(24)


def draw_blocks(picture: Image.Image, exact: bool) -> str:
    """The picture [RGBA], of an even height, in lines of text; `exact` is in 24 bits of colour."""
    pixels = np.asarray(picture)  # [2 * rows, columns, 4]
    colors = pixels[:, :, :3]
    names = _exact_names(colors) if exact else _near_names(colors)
    seen = pixels[:, :, 3] >= _SEEN
    lines = zip(names[::2], names[1::2], seen[::2], seen[1::2], strict=True)
    return "".join(_line(*each) for each in lines)


def _line(
    upper: list[str], lower: list[str], upper_seen: np.ndarray, lower_seen: np.ndarray
) -> str:
    """One line of cells, whose colours are given in the words of SGR."""
    text, now = "", ("", "")
    cells = zip(upper, lower, upper_seen.tolist(), lower_seen.tolist(), strict=True)
    for above, below, is_above, is_below in cells:
        letter = _UPPER if is_above else _LOWER if is_below else " "
        front = above if is_above else below if is_below else ""
        back = below if is_above and is_below else ""
        if (front, back) != now:
            words = [f"38;{front}" if front else "39", f"48;{back}" if back else "49"]
            text += f"\x1b[{';'.join(words)}m"
            now = front, back
        text += letter
    return text.rstrip() + "\x1b[0m\n"


def _exact_names(colors: np.ndarray) -> list[list[str]]:
    return [[f"2;{r};{g};{b}" for r, g, b in row] for row in colors.tolist()]


def _near_names(colors: np.ndarray) -> list[list[str]]:
    """The nearest of the colours 16 to 255: a cube of 6 x 6 x 6, and 24 greys."""
    wide = colors.astype(np.int64)
    steps = np.abs(wide[..., None] - _LEVELS).argmin(axis=-1)  # [h, w, 3]
    cube = _LEVELS[steps]
    grey = np.abs(wide.mean(axis=-1)[..., None] - _GREYS).argmin(axis=-1)  # [h, w]
    far = ((cube - wide) ** 2).sum(axis=-1) > ((_GREYS[grey][..., None] - wide) ** 2).sum(axis=-1)
    numbers = np.where(far, 232 + grey, 16 + steps @ np.array([36, 6, 1]))
    return [[f"5;{number}" for number in row] for row in numbers.tolist()]
