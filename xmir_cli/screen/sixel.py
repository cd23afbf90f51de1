"""Pictures as sixels: bands of six rows, in each of which every colour is drawn in turn.

Source: DEC, VT330/VT340 Programmer Reference Manual, volume 2, chapter 14 (1988).
"""

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
    rows, columns = np.nonzero(numbers >= 0)
    colors, places = np.unique(numbers[rows, columns], return_inverse=True)
    width = numbers.shape[1]
    bits = np.bincount(places * width + columns, 1 << rows, len(colors) * width)
    ended = np.pad(bits.reshape(-1, width), ((0, 0), (0, 1)), constant_values=-1).ravel()
    ends = np.flatnonzero(np.diff(ended, append=-2))  # of equal columns of six pixels
    values, counts = ended[ends].astype(int), np.diff(ends, prepend=-1)
    kept = (values != 0) | (np.roll(values, -1) != -1)  # but for empty columns at the end
    runs = map(_run, values[kept].tolist(), counts[kept].tolist())
    drawn = "".join(runs).split("$")[:-1]
    return "$".join(f"#{color}{each}" for color, each in zip(colors, drawn, strict=True))


def _run(bits: int, count: int) -> str:
    """Equal columns of six pixels, or the end of a colour."""
    if bits < 0:
        return "$"
    return chr(bits + 63) * count if count < 4 else f"!{count}{chr(bits + 63)}"
