"""Pictures as sixels: bands of six rows, in each of which every colour is drawn in turn.

Source: DEC, VT330/VT340 Programmer Reference Manual, volume 2, chapter 14 (1988).
"""

from itertools import groupby

import numpy as np
from PIL import Image

_HIGH = 6  # rows of a band
_SEEN = 128  # from this opacity on a pixel is drawn


def draw_sixel(picture: Image.Image, colors: int = 256) -> str:
    """The picture [RGBA], pixel by pixel, from the cursor on; what is transparent is left out."""
    seen = np.asarray(picture.getchannel("A")) >= _SEEN  # [H, W]
    plain = picture.convert("RGB")
    palette = plain.quantize(colors, Image.Quantize.MAXCOVERAGE)
    numbers = np.asarray(
        plain.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG), dtype=np.int16
    )
    numbers = np.where(seen, numbers, -1)
    used = np.unique(numbers[seen])
    mixed = np.asarray(palette.getpalette(), dtype=np.float64).reshape(-1, 3)
    registers = "".join(
        f"#{number};2;" + ";".join(f"{round(part * 100 / 255)}" for part in mixed[number])
        for number in used
    )
    bands = [_band(numbers[top : top + _HIGH]) for top in range(0, len(numbers), _HIGH)]
    size = f'"1;1;{picture.width};{picture.height}'  # pixels are square, this many are drawn
    return f"\x1bP0;1;0q{size}{registers}{'-'.join(bands)}\x1b\\"


def _band(numbers: np.ndarray) -> str:
    """Six rows or fewer [h, W] of numbers of colours, -1 for none."""
    weights = 1 << np.arange(len(numbers))[:, None]
    colors = [color for color in np.unique(numbers).tolist() if color >= 0]
    drawn = (f"#{color}{_row(((numbers == color) * weights).sum(axis=0))}" for color in colors)
    return "$".join(drawn)


def _row(bits: np.ndarray) -> str:
    """Columns of six pixels, equal ones counted, without the empty end."""
    filled = np.flatnonzero(bits)
    characters = (bits[: filled[-1] + 1] + 63).astype(np.uint8).tobytes().decode("ascii")
    found = ((character, len(list(equal))) for character, equal in groupby(characters))
    return "".join(each * n if n < 4 else f"!{n}{each}" for each, n in found)
