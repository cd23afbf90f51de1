"""Small pictures side by side on a terminal, with lines of text below each."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from PIL import Image

from xmir_cli.console import escape
from xmir_cli.screen.pictures import CellBox, Screen, Way
from xmir_cli.table import GAP, Column
from xmir_cli.terminal import bold

_SMALLEST, _LARGEST = 18, 32  # columns of a picture
_COARSE = (24, 32)  # the same of half blocks, which show less


@dataclass(frozen=True)
class Thumbnail:
    """A picture, an empty place where it is None, and what stands below it."""

    picture: Image.Image | None
    lines: Sequence[str]


def print_strip(screen: Screen, thumbnails: Sequence[Thumbnail]) -> None:
    """Print the pictures in lines of equally many, as large as these let them be."""
    count, columns = _share(len(thumbnails), screen)
    for start in range(0, len(thumbnails), count):
        if start:
            screen.print_lines([""])
        _print_line(screen, thumbnails[start : start + count], columns)


def pixels_of(screen: Screen, count: int) -> int:
    """How wide a picture is drawn where so many stand in a strip, in the terminal's pixels."""
    return ceil(_share(count, screen)[1] * screen.cell[0])


def _share(count: int, screen: Screen) -> tuple[int, int]:
    """How many pictures stand in a line, and on how many columns each."""
    smallest, largest = _COARSE if screen.way is Way.BLOCKS else (_SMALLEST, _LARGEST)
    room = screen.room.columns + len(GAP)
    most = max(1, room // (smallest + len(GAP)))
    each = ceil(count / ceil(count / most))
    return each, max(1, min(largest, room // each - len(GAP)))


def _print_line(screen: Screen, thumbnails: Sequence[Thumbnail], columns: int) -> None:
    texts = max(len(each.lines) for each in thumbnails)
    most = max(1, screen.room.rows - texts)
    sizes = [_fit(each.picture, CellBox(columns, most), screen) for each in thumbnails]
    rows = ceil(max(high for _, high in sizes))
    if rows:
        place = CellBox(len(thumbnails) * (columns + len(GAP)) - len(GAP), rows)
        screen.print_picture(_join(thumbnails, sizes, columns, place, screen.grain), place)
    cell = Column((), columns, numeric=False)
    for number in range(texts):
        line = [
            cell.place(escape(each.lines[number])) if number < len(each.lines) else " " * columns
            for each in thumbnails
        ]
        text = GAP.join(line).rstrip()
        screen.print_lines([text if number else bold(text)])


def _fit(picture: Image.Image | None, most: CellBox, screen: Screen) -> tuple[float, float]:
    """Columns and rows of a picture at its own aspect, within a square."""
    if picture is None:
        return 0, 0
    width, height = screen.cell
    side = most.columns * width
    scale = min(side / max(picture.size), most.rows * height / picture.height)
    return picture.width * scale / width, picture.height * scale / height


def _join(
    thumbnails: Sequence[Thumbnail],
    sizes: Sequence[tuple[float, float]],
    columns: int,
    place: CellBox,
    grain: tuple[float, float],
) -> Image.Image:
    """The pictures side by side on nothing, each above its text."""
    wide, high = grain
    joined = Image.new("RGBA", (round(place.columns * wide), round(place.rows * high)))
    for number, (each, size) in enumerate(zip(thumbnails, sizes, strict=True)):
        if each.picture is None:
            continue
        pixels = max(1, round(size[0] * wide)), max(1, round(size[1] * high))
        small = each.picture.convert("RGBA").resize(pixels, Image.Resampling.LANCZOS)
        joined.paste(
            small, (round(number * (columns + len(GAP)) * wide), joined.height - pixels[1])
        )
    return joined
