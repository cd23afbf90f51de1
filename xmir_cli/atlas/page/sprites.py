"""Many small pictures in few large ones, so that a page holds thousands."""

import base64
import io
from collections.abc import Sequence

from PIL import Image

SIDE = 128  # pixels of a small picture
COLUMNS = 16  # and as many rows, in one large picture
_QUALITY = 80  # of a JPEG


def make_sheets(tiles: Sequence[Image.Image]) -> list[str]:
    """Tiles, row by row, as data URIs of JPEGs; grey ones where no tile has a colour."""
    size = COLUMNS * COLUMNS
    return [_sheet(tiles[start : start + size]) for start in range(0, len(tiles), size)]


def _sheet(tiles: Sequence[Image.Image]) -> str:
    mode = "L" if all(tile.mode == "L" for tile in tiles) else "RGB"
    rows = -(-len(tiles) // COLUMNS)
    sheet = Image.new(mode, (COLUMNS * SIDE, rows * SIDE))
    for number, tile in enumerate(tiles):
        sheet.paste(tile, (number % COLUMNS * SIDE, number // COLUMNS * SIDE))
    file = io.BytesIO()
    sheet.save(file, "jpeg", quality=_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
